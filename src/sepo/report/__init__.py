"""A run folder as one self-contained HTML page. Reads finished files only; trains and audits nothing."""
