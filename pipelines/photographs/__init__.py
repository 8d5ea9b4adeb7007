"""Folders of single images with masks, brought to one size, divided, trained on and measured."""
