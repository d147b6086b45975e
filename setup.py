"""List every sub-package of the three layers, so that a new folder cannot be left out of the wheel."""

from setuptools import find_packages, setup

LAYERS = ("store", "persisters", "sync")


def packages() -> list[str]:
    """Return the import names of all packages: the facade and every folder below the layers."""
    # find_packages follows the links in src/ too, which would name every layer twice.
    links = [pattern for layer in LAYERS for pattern in (f"replicell.{layer}", f"replicell.{layer}.*")]
    below = (
        f"replicell.{name}"
        for layer in LAYERS
        for name in (layer, *(f"{layer}.{sub}" for sub in find_packages(layer)))
    )
    return [*find_packages("src", exclude=links), *below]


setup(packages=packages())
