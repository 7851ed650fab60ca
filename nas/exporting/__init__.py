"""Models taken out of a study: files that run without this tool."""
