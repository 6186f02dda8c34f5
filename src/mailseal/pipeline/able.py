"""What the keys allow for one recipient: every method is asked in its turn, for keys and for a signer.

The first that could do it is asked to seek as well: to have keys looked for elsewhere, or one made, is no use to a
mail that an earlier method takes.
"""

from mailseal.mail.address import Address
from mailseal.methods import METHODS
from mailseal.pipeline.run import Run
from mailseal.pipeline.sender import Sender
from mailseal.policy.model import Able, Awaited, Decision, MethodName, SignWish
from mailseal.policy.plan import obstacle
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings


def able_for(run: Run, sender: Sender, recipient: Address, policy: Settings, decision: Decision) -> Able:
    """Ask the methods; raises TransientError."""
    if run.fault is not None:
        unreadable = because(ReasonCode.MESSAGE_UNREADABLE, detail=run.fault)
        return Able({}, dict.fromkeys(METHODS, unreadable), {}, unreadable)
    able = Able({}, {}, {})
    if decision.try_encrypt:
        able = _with_keys(run, recipient, policy, decision)
    signers: dict[MethodName, str] = {}
    no_signer = sender.no_identity
    if decision.sign is not SignWish.NO and sender.identity is not None:
        signers, no_signer = _signers(run, sender.identity, policy, decision, able)
    return Able(able.keys, able.unable, signers, no_signer, able.awaited)


def _with_keys(run: Run, recipient: Address, policy: Settings, decision: Decision) -> Able:
    keys: dict[MethodName, tuple[str, ...]] = {}
    unable: dict[MethodName, Reason] = {}
    awaited: dict[MethodName, Reason] = {}
    seek = True
    for name, method in METHODS.items():
        free = obstacle(name, decision, policy) is None
        match method.usable_keys(run.gateway, recipient, policy, run.at, seek=seek and free):
            case Reason() as reason:
                unable[name] = reason
            case Awaited(reason):
                awaited[name] = reason
            case found:
                keys[name] = found
        seek = seek and not (free and name not in unable)
    return Able(keys, unable, {}, None, awaited)


def _signers(
    run: Run, identity: Address, policy: Settings, decision: Decision, able: Able
) -> tuple[dict[MethodName, str], Reason | None]:
    signers: dict[MethodName, str] = {}
    no_signer: Reason | None = None
    free = [name for name in METHODS if obstacle(name, decision, policy) is None]
    encrypts = next((name for name in free if name in able.keys), None)
    for name, method in METHODS.items():
        # The method that encrypts signs; where none does, the first that has a key.
        seek = name in free and (name is encrypts if encrypts else decision.sign is SignWish.YES and not signers)
        found = method.signer(run.gateway, identity, policy, run.at, seek=seek)
        if isinstance(found, Reason):
            no_signer = no_signer or found
        else:
            signers[name] = found
    return signers, no_signer
