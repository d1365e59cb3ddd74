"""Inputs of a network: arrays, tensors, image files, images or a torch Dataset."""
