"""Readers of ONNX files and PyTorch modules."""
