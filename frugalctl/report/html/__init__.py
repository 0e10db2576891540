"""The report as one HTML page: everything in one file, nothing fetched, readable without script."""
