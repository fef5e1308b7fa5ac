"""What is measured when a trained model is promoted: the only code that reads a test split, with its opening."""
