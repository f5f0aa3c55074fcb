"""Who polls what of which region: from the settings and the files they name."""

import logging
import threading

from metering.definitions.reading import DefinitionError
from metering.pollsters import gateway, shipped
from metering.pollsters.dynamic import DynamicPollster
from metering.pollsters.dynamic_file import load_pollsters
from metering.pollsters.intervals import everything, intervals_of, load_sources, not_polled
from metering.pollsters.kinds import Kind
from sources.feed import FeedError
from sources.openstack.dynamic_poller import DynamicPoller
from sources.openstack.kind_poller import KindPoller, Known
from sources.openstack.poller import Poller
from sources.openstack.region import Region, cloud_regions
from sources.openstack.settings import OpenStackSettings
from sources.openstack.tally import Tally

_log = logging.getLogger(__name__)


class Plan:
    """The regions, the pollers of all of them, and the meters that are asked for in vain."""

    def __init__(
        self, settings: OpenStackSettings, tally: Tally, stopping: threading.Event
    ) -> None:
        """Raises FeedError."""
        try:
            dynamic = load_pollsters(settings.pollsters)
            sources = load_sources(settings.polling) if settings.polling else None
        except DefinitionError as error:
            raise FeedError(str(error)) from error
        self._sources = sources or everything(settings.interval)
        self._dynamic = dynamic
        self._kinds = self._kinds_within_reach(settings, tally)
        known = shipped.METERS | {pollster.name for pollster in dynamic}
        self.not_polled = not_polled(self._sources, known)
        self._say_what_has_no_effect()
        self.regions = [
            Region(cloud, settings, tally, stopping) for cloud in cloud_regions(settings)
        ]
        self.pollers = [poller for region in self.regions for poller in self._pollers(region)]

    def _kinds_within_reach(self, settings: OpenStackSettings, tally: Tally) -> list[Kind]:
        """Return the shipped kinds, without those of Ceph's gateway where there are no keys to it."""
        if settings.radosgw_keys is not None:
            return list(shipped.KINDS)
        if any(intervals_of(self._sources, kind.meters) for kind in gateway.KINDS):
            tally.absent(gateway.GATEWAY, "radosgw_access_key and radosgw_secret_key are not set")
        return [kind for kind in shipped.KINDS if kind not in gateway.KINDS]

    def _pollers(self, region: Region) -> list[Poller]:
        several = len(self.regions) > 1
        found: list[Poller] = []
        for kind in self._kinds:
            known = Known()
            for interval, meters in intervals_of(self._sources, kind.meters).items():
                found.append(KindPoller(region, kind, known, interval, meters, several))
        for pollster in self._dynamic:
            found += self._dynamic_pollers(region, pollster, several)
        return found

    def _dynamic_pollers(
        self, region: Region, pollster: DynamicPollster, several: bool
    ) -> list[DynamicPoller]:
        return [
            DynamicPoller(region, pollster, interval, several)
            for interval in intervals_of(self._sources, [pollster.name])
        ]

    def _say_what_has_no_effect(self) -> None:
        if self.not_polled:
            _log.warning("no poller has these meters: %s", ", ".join(self.not_polled))
        for source in self._sources:
            if source.without_effect:
                names = ", ".join(source.without_effect)
                _log.warning("%s of source %r: without effect here", names, source.name)
