"""Pages that need nothing but a browser: ``talk`` is of a demo, ``campaign`` of a campaign, ``comparison`` of two.

Every text is escaped; there are no scripts and no outside resources.
"""
