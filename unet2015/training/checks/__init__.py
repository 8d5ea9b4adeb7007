"""What is wrong, or may be wrong, with a training set; said before a training starts."""
