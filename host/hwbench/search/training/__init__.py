"""What training is made of, for one network and for a supernet: batches, weight steps, checkpoints, processes."""
