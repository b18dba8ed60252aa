"""What proves an identity: tokens, X.509 proxies, VOMS attributes. Never asserts."""
