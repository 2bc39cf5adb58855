"""What else uncertainty is good for: choosing the photographs of a gallery, what a person should look at first, and
inputs that are no faces. Each recipe is a plain function; eval/recipes.md shows them at work."""

from faceunc.recipes.face_reference import FaceReference, fit_reference, load_reference, shipped_reference
from faceunc.recipes.gallery import choose_photos
from faceunc.recipes.review import error_probability, review_order, review_photos
from faceunc.recipes.strange_inputs import flag_strange, strangeness

__all__ = [
    "FaceReference",
    "choose_photos",
    "error_probability",
    "fit_reference",
    "flag_strange",
    "load_reference",
    "review_order",
    "review_photos",
    "shipped_reference",
    "strangeness",
]
