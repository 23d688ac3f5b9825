"""fal, as our client sees it. Written from fal.md; shares nothing with the emulator."""
