"""The command `completion`: the script that makes a shell complete commands, options and files of aezip."""

from __future__ import annotations

import click

from .helping import command

VARIABLE = "_AEZIP_COMPLETE"  # of the environment: what click looks for when a shell asks


@command(
    'eval "$(aezip completion bash)"        # for this shell; put the line into ~/.bashrc for all',
    "aezip completion fish > aezip.fish     # goes into ~/.config/fish/completions",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and names of files in a shell.

    bash and zsh read it by eval, in ~/.bashrc and ~/.zshrc; fish has a folder for such files.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(context.find_root().command, {}, "aezip", VARIABLE)
    click.echo(ShellComplete.source(made))  # that of the class above all, which starts no shell
