"""The network at work: model files, and the engines that run them."""
