"""The documentation as a site: `make docs`. The pages are the Markdown files."""

project = "alternet-nas"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/**.md",
    "benchmarks/README.md",
    "benchmarks/commands.md",
    "results/**/README.md",
    "results/README.md",
]
exclude_patterns = [".venv", "site", "runs", "build"]
myst_heading_anchors = 4  # links to a heading are checked, too
myst_enable_extensions = ["dollarmath"]
html_theme = "furo"
html_title = "alternet-nas"
html_copy_source = False
html_show_search_summary = False  # fetches pages, which browsers refuse from files
html_show_sphinx = False
html_show_copyright = False  # the licence is in the README
html_static_path = ["site_style"]
html_css_files = ["wide_tables.css"]
html_extra_path = ["site_root"]  # its index.html leads to the first page
