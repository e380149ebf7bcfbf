"""The networks that the lab trains: a registry of factories, one file for each family."""

from wellbegun.lab.networks.registry import NETWORKS, NetworkEntry, build_network, networks_for

__all__ = ["NETWORKS", "NetworkEntry", "build_network", "networks_for"]
