"""A name that is no command to the nearest one that is."""

import difflib

import click


class Suggesting(click.Group):
    """A group that names the nearest of its commands for one that it has not, and lists them in whole sentences."""

    def summary(self, name: str) -> str:
        """What a command is for: the first sentence of its help."""
        text = (self.commands[name].help or "").partition("\n\n")[0]
        return " ".join(text.split()).partition(". ")[0].rstrip(".") + "."

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, but no summary is cut."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(name)) for name in self.list_commands(context)])

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion in the error."""
        known = self.list_commands(context)
        if args and not context.resilient_parsing and args[0] not in known and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0].lower(), known, n=1, cutoff=0.5)
            advice = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
            raise click.UsageError(f"No such command {args[0]!r}. {advice}", context)
        return super().resolve_command(context, args)
