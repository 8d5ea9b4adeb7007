"""Files in, files out: jobs, what is done already, parts, resume, records, failures, Zarr, Dask, replay."""
