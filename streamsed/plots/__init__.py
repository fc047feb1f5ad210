"""What the plots of recordings and of logs share: their files and their mel axis."""
