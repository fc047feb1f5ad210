"""Where the sound of many sources comes from: networks, microphones, files and pipes."""
