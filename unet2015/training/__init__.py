"""Weight map, augmentation, sampling, loss and the training loop."""
