"""What of a Postfix is not as our configuration wants it, and what this Postfix could not do of it."""

from collections.abc import Sequence

from mailseal.config import Config, Instance
from mailseal.postfix import owned
from mailseal.postfix.installation import problems
from mailseal.postfix.parts import Rendering
from mailseal.postfix.private_files import contents, current
from mailseal.postfix.program import Program
from mailseal.postfix.staging import Staged, staged


def drift(config: Config, rendering: Rendering) -> Sequence[str]:
    """A line for each difference, none if all is well; raises PostfixError."""
    if config.postfix.instance is Instance.PRIVATE:
        shall = contents(rendering)
        there = current(config.postfix.active_dir, shall)
        return [f"{name} is not as it shall be" for name in shall if there[name] != shall[name]]
    with staged(config.postfix.config_dir, rendering) as made:
        return [*problems(made.program, rendering, config), *_differences(config, made)]


def _differences(config: Config, made: Staged) -> Sequence[str]:
    now, shall = Program(config.postfix.config_dir), made.rendering
    names = {one.name: one.value for one in shall.settings}
    there = now.values(names)
    found = [f"{name} is {there.get(name, 'not known')!r}" for name, value in names.items() if there.get(name) != value]
    before = {line.key: line for line in now.services()}
    after = {line.key: line for line in made.program.services()}
    keys = {one.key for one in shall.services} | {key for key, _, _ in shall.additions}
    found += [f"the service {key} is not as it shall be" for key in sorted(keys) if before.get(key) != after.get(key)]
    was = owned.read(config.postfix.config_dir)
    left = (was.settings - names.keys()) | (was.services - keys)
    return [*found, *(f"{name} is left over" for name in sorted(left))]
