"""The openstack feed: samples polled from the APIs of OpenStack clouds."""
