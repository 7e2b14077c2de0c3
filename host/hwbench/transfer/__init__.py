"""To a device that was hardly measured: agreement of targets, proxies, adaptation, few-shot prediction."""
