"""How an object shows itself in a notebook; what makes the HTML is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Container, Mapping

__all__ = ["NotebookRepresentation"]


class NotebookRepresentation:
    """What Jupyter, marimo, VS Code and others look for in an object that can show itself.

    >>> html = Store().set_cell("pets", "fido", "name", "<Fido>")._repr_html_()
    >>> "&lt;Fido&gt;" in html
    True
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        from replicell.store.notebook.summaries import summary_of

        return summary_of(self)

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None, **_: object
    ) -> Mapping[str, str]:
        makers = {"text/plain": self.__repr__, "text/html": self._repr_html_}
        return {
            mime_type: make()
            for mime_type, make in makers.items()
            # An empty container means the same as none, as IPython gives both.
            if (not include or mime_type in include) and not (exclude and mime_type in exclude)
        }
