"""PXE directories, which a TFTP or HTTP server serves as they are."""

from imagekit.media.pxe.plan import Plan, plan
from imagekit.media.pxe.publish import locked
from imagekit.media.pxe.request import PxeRequest
from imagekit.media.pxe.url import check_url

__all__ = ["Plan", "PxeRequest", "check_url", "locked", "plan"]
