"""Floating addresses, VPNs and firewalls of Networking, and Load Balancing.

Source: Networking API v2.0 and Load Balancer API v2; Ceilometer's meters of the same names.
"""

from typing import Any, Final

from metering.pollsters.kinds import Kind, Listing, Meter, Part, always, fields, ranked

STATES: Final = {
    "inactive": 0,
    "active": 1,
    "pending_create": 2,
    "down": 3,
    "created": 4,
    "pending_update": 5,
    "pending_delete": 6,
    "error": 7,
}
OPERATING: Final = {
    "online": 1,
    "draining": 2,
    "offline": 3,
    "degraded": 4,
    "error": 5,
    "no_monitor": 6,
}
PROVISIONING: Final = {
    "active": 1,
    "deleted": 2,
    "error": 3,
    "pending_create": 4,
    "pending_update": 5,
    "pending_delete": 6,
}


def _owner(entry: dict[str, Any]) -> Any:
    return entry.get("project_id") or entry.get("tenant_id")


def _networking(name: str, path: str, meter: Meter, *kept: str) -> Kind:
    key = path.rpartition("/")[2].replace("-", "_")
    listing = Listing("network", path, key)
    return Kind(name, listing, (Part((meter,)),), project=_owner, metadata=fields(*kept))


KINDS: Final = (
    _networking(
        "floating addresses",
        "/floatingips",
        Meter("ip.floating", "ip", ranked("status", STATES)),
        *("router_id", "status", "floating_network_id", "fixed_ip_address", "port_id"),
        "floating_ip_address",
    ),
    _networking(
        "VPN services",
        "/vpn/vpnservices",
        Meter("network.services.vpn", "vpnservice", ranked("status", STATES)),
        *("admin_state_up", "description", "name", "status", "subnet_id", "router_id"),
        *("flavor_id", "external_v4_ip", "external_v6_ip"),
    ),
    _networking(
        "VPN connections",
        "/vpn/ipsec-site-connections",
        Meter("network.services.vpn.connections", "ipsec_site_connection", always(1)),
        # All that Ceilometer keeps but `psk`: a pre-shared key is a secret.
        *("name", "description", "peer_address", "peer_id", "peer_cidrs", "peer_ep_group_id"),
        *("initiator", "ikepolicy_id", "ipsecpolicy_id", "vpnservice_id", "mtu"),
        *("admin_state_up", "status"),
    ),
    _networking(
        "firewall groups",
        "/fwaas/firewall_groups",
        Meter("network.services.firewall", "firewall", ranked("status", STATES)),
        *("admin_state_up", "description", "name", "status"),
        *("ingress_firewall_policy_id", "egress_firewall_policy_id"),
    ),
    _networking(
        "firewall policies",
        "/fwaas/firewall_policies",
        Meter("network.services.firewall.policy", "firewall_policy", always(1)),
        *("name", "description", "firewall_rules", "shared", "audited"),
    ),
    Kind(
        "load balancers",
        Listing("load-balancer", "/lbaas/loadbalancers", "loadbalancers"),
        (
            Part(
                (
                    Meter(
                        "loadbalancer.operating", "status", ranked("operating_status", OPERATING)
                    ),
                    Meter(
                        "loadbalancer.provisioning",
                        "status",
                        ranked("provisioning_status", PROVISIONING),
                    ),
                )
            ),
        ),
        project=_owner,
        metadata=fields(
            *("name", "availability_zone", "vip_address", "vip_port_id", "provisioning_status"),
            *("operating_status", "provider", "flavor_id"),
        ),
    ),
)
