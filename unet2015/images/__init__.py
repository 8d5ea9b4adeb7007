"""An image on disk as an array with axes and calibration: region reads, atomic writes."""
