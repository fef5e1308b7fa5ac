"""What the user said: settings, profiles, paths, the home."""
