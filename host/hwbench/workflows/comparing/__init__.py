"""Do targets put architectures in the same order, and which one stands for another?"""
