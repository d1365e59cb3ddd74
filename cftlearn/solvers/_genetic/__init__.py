"""The genetic algorithm: one category at a time, or all of them on a device."""
