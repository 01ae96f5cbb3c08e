"""Positions, areas and colours of pictures, in pixels."""

Point = tuple[float, float]
Area = tuple[int, int, int, int]
Range = tuple[float, float]
Color = tuple[int, int, int]
