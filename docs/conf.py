"""Sphinx configuration: sphinx-build -W -b html docs target/manual"""

project = "dist-chat"
author = "the authors of dist-chat"
copyright = "the authors of dist-chat; MIT licence"
html_theme = "alabaster"
html_theme_options = {
    "description": "Group chat with no server",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_show_sphinx = False
# Terminals, frames and tables of numbers: nothing in them is to be coloured.
highlight_language = "none"
# Straight quotes: commands are copied from these pages.
smartquotes = False
exclude_patterns = []
