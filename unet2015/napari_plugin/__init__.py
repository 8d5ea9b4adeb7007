"""The plug-in for napari: a panel that segments a layer. Its manifest is napari.yaml."""
