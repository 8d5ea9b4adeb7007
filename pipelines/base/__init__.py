"""What every experiment is built of: stages, the files that join them, settings, and the command line."""
