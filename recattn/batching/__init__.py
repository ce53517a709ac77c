"""From carriers to tensors."""
