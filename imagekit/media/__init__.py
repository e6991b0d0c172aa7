"""Boot media: USB images and ISO images, planned and then written."""
