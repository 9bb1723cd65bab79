"""The browser's side of ``sepo serve``: play, watch, explore, and see a run go on."""
