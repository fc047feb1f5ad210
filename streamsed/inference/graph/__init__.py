"""The ONNX graph of a model file: read, checked, and described operator by operator."""
