"""Compiles a configuration into a plan: everything is checked and composed once, before any frame is sent."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import attrs

from channeld.auth.authenticator import CompiledAuth
from channeld.auth.authenticators import authenticator
from channeld.config.model import Config, TokenEntry
from channeld.config.source import Sources
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Report, Severity
from channeld.plan.channels import ChannelCompiler
from channeld.plan.expressions import Literal
from channeld.plan.hooks import HookLoader, Role
from channeld.plan.identity import Identity
from channeld.plan.path_checks import PathBook
from channeld.plan.paths import PathTable
from channeld.plan.plan import AuthPlan, ChannelPlan, Hook, Match, Plan
from channeld.plan.sensitive import hide_examples, sensitive_frames
from channeld.plan.template_scope import TemplateScope
from channeld.plan.templates import TemplateCompiler
from channeld.pointer import at
from channeld.schema.checks import check_schemas
from channeld.schema.schemas import Schemas
from channeld.schema.violations import Validator


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Compiled:
    """The result: the plan (None if there are errors), the findings, the schemas."""

    plan: Plan | None
    report: Report
    schemas: Schemas


def compile(
    config: Config,
    sources: Sources,
    *,
    import_hooks: bool = True,
    hook_root: str | None = None,
    fresh: AbstractSet[str] = frozenset(),
) -> Compiled:
    """Compile a configuration: the plan, unless there are errors, and all findings. Never raises, whatever the file says.

    Hook modules are read from `hook_root`, else from `hooks.path`; those in `fresh` are imported again (on a reload). Without
    `import_hooks`, only their source is checked, and the plan's hooks raise when called.
    """
    report = Report()
    schemas = Schemas(config, sources, report)
    report.extend(check_schemas(config, schemas, sources))
    templates = TemplateCompiler(sources, report)
    root = Path(config.hooks.path if hook_root is None else hook_root).absolute()
    hooks = HookLoader(templates, root, import_hooks, fresh, config.hooks.loop, config.backends)
    auth = {name: _auth(config, name, schemas, templates, hooks) for name in config.auth}
    paths = PathBook.read(config, templates, schemas)
    compiler = ChannelCompiler(
        config=config, templates=templates, schemas=schemas, hooks=hooks, auth=auth
    )
    channels = {
        name: compiler.compile(channel, paths.types(name))
        for name, channel in config.channels.items()
    }
    lifespans = _lifespans(config, hooks, templates)
    hooks.note_unwired()
    hide_examples(config, schemas, sources)
    if report.errors:
        return Compiled(plan=None, report=report, schemas=schemas)
    plan = Plan(
        config=config,
        server=config.server,
        limits=config.server.limits,
        channels=channels,
        match=_matcher(paths.table, channels),
        lifespans=lifespans,
        hook_modules=hooks.modules,
        sensitive=sensitive_frames(config, schemas),
    )
    return Compiled(plan=plan, report=report, schemas=schemas)


def _auth(
    config: Config, name: str, schemas: Schemas, templates: TemplateCompiler, hooks: HookLoader
) -> AuthPlan:
    declared = config.auth[name]
    pointer = at("/auth", name)
    claims = at(pointer, "claims")
    kind = authenticator(declared)
    checked = None
    template = kind.user_template()
    if template is not None:
        shape = schemas.shape(claims) if declared.claims is not None else None
        scope = TemplateScope(
            place="user", identity=Identity(((declared, shape),)), user=False, moment=False
        )
        checked = templates.compile_name(template, at(pointer, "user"), scope)
        if checked is not None and isinstance(checked.node, Literal):
            place = templates.sources.place(at(pointer, "user"))
            message = f"every client would be the one user `{template}`"
            finding = diagnose("CH340", message, place, help=f'write `"{{claims.{template}}}"`')
            templates.report.add(attrs.evolve(finding, severity=Severity.ERROR))
    validator = schemas.validator(claims) if declared.claims is not None else None
    if validator is not None:
        # Imported late: it loads nine modules, which most configurations do not need.
        from channeld.plan.claims import check_claims  # noqa: PLC0415

        check_claims(name, kind.asked_claims(), schemas, templates)
        tokens = getattr(declared, "tokens", ())
        _refuse_claims_of(tokens, validator, at(pointer, "tokens"), templates)
    return AuthPlan(
        name=name,
        declared=declared,
        type=kind,
        compiled=CompiledAuth(claims=validator)
        if checked is None
        else CompiledAuth(user=checked.render, claims=validator),
        hook=hooks.load(kind.hook(), at(pointer, "hook"), Role.AUTHENTICATE),
    )


def _refuse_claims_of(
    tokens: Sequence[TokenEntry], claims: Validator, pointer: str, templates: TemplateCompiler
) -> None:
    """CH443: fixed tokens that can never be accepted."""
    for entry, where in templates.each(tokens, pointer):
        for violation in claims.explain(dict(entry.claims))[:1]:
            path = f" at `{violation.path}`" if violation.path else ""
            finding = f"the claims of `{entry.user}` are refused{path}: {violation.message}"
            help = "correct its `claims`, or the `claims` schema of the authenticator"
            templates.find("CH443", finding, where, help)


def _lifespans(config: Config, hooks: HookLoader, templates: TemplateCompiler) -> tuple[Hook, ...]:
    found: dict[str, Hook] = {}
    for ref, pointer in templates.each(config.hooks.lifespan, "/hooks/lifespan"):
        loop = ref.loop or config.hooks.loop
        if loop in found:
            finding = f"`{ref.call}` is a second lifespan for {loop}"
            help = f"write the `loop` that `{ref.call}` is written for, or enter one in the other"
            templates.find("CH515", finding, pointer, help)
            continue
        hook = hooks.load(ref, pointer, Role.LIFESPAN)
        if hook is not None:
            found[loop] = hook
    return tuple(found.values())


def _matcher(
    table: PathTable[str], channels: Mapping[str, ChannelPlan]
) -> Callable[[str], Match | None]:
    def match(path: str) -> Match | None:
        found = table.match(path)
        return None if found is None else Match(channels[found[0]], found[1])

    return match
