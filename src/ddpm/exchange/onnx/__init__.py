"""Export of runs to ONNX, for programs without PyTorch."""

from ddpm.exchange.onnx.export import export_onnx

__all__ = ["export_onnx"]
