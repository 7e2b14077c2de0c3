"""ProxylessNAS: a supernet of which one path at a time is in memory (Cai, Zhu, Han, ICLR 2019), in PyTorch."""
