"""What unknown labels add to a loss: one module per way of thinking of them."""
