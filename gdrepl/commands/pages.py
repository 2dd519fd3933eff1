"""Pages of help about a subject rather than a command. The transcripts in them are typed by a test, and compared."""

from __future__ import annotations

_STOPS = """
A stop is armed inside the compiled loop and looks at every step of a run. Several that hold at one step are all reported.

  break if loss < 1e-3    a breakpoint: where a condition holds
  tbreak if step == 5     the same, once
  watch sign(x - 50)      a watchpoint: where a value changes
  watch x by 0.5          where it has moved by so much since it last stopped
  catch plateau           a catchpoint: where an event of training begins
  info events             the events: what each is, and its thresholds

Each has a number, and a name if `as NAME` is added; either stands for it afterwards. `ignore 2 3` lets three hits pass,
`condition 2 loss < 1e-4` changes what is asked, `disable 2` and `enable 2` switch it, `enable once 2` on until it has stopped
a run, `delete 2` forgets it. `commands 2` is followed by lines of what to do when it stops a run, up to `end`; `silent` as
the first shows nothing else. A condition that cannot be computed is refused. If another problem or optimizer makes it so
later, the next run ends after one update and says which stop it was, and why.

  (gd) watch sign(x - 50) as overshoot
  watchpoint 1 (overshoot): stops at a change of sign(x - 50)
  (gd) break if loss < 100
  breakpoint 2: stops when loss < 100
  (gd) ignore 2 1
  breakpoint 2 lets 1 hit pass
  (gd) commands 2 ;; silent ;; print step ;; end
  breakpoint 2: 2 commands
  (gd) tbreak if step == 5
  breakpoint 3: stops once, when step == 5
  (gd) catch convergence tol=0.05
  catchpoint 4: stops at convergence tol=0.05
    the norm of the gradient is at most 0.05
  (gd) continue
  step 0 → 5   5 steps
  ...
  stopped: breakpoint 3, step == 5
  (gd) continue
  $1: step = 45
  (gd) condition 2 loss < 1e-4
  breakpoint 2: stops when loss < 1e-4
  (gd) enable once overshoot
  1 ... enabled once
  (gd) continue
  step 45 → 78   33 steps
  ...
  stopped: watchpoint 1 (overshoot), sign(x - 50): -1 → 1
  stopped: breakpoint 2, loss < 1e-4
  stopped: catchpoint 4, convergence tol=0.05
    the norm of the gradient is at most 0.05
    steps 77 to 78: norm(grad) 0.01952362, loss 9.529294e-5
  ...
  $2: step = 78
  (gd) info break
  Num  Kind        Enb  Hits  What
  1    watchpoint  n    1     overshoot: sign(x - 50)   (last 1 at step 78)
  2    breakpoint  y    3     loss < 1e-4   (last 9.529294e-5 at step 78)   ...
  ...
  4    catchpoint  y    1     convergence tol=0.05   (last ... at step 78)
  (gd) delete 2
  1 ... deleted
"""

_TIME = """
Every step that was ever run can be reached again, with the same bits in the parameters and in the optimizer's slots. Going back
loses nothing: the future stays recorded, and stepping walks it again. Neither end of a branch ends the session.

  reverse-step 3          three steps back
  reverse-continue        back to where a stop last held, or to the start
  goto 40                 to a step; or goto -5, five steps back
  goto min                to the lowest loss; also goto start, goto end
  goto b1:40              to a step of a branch; or to a checkpoint
  back, forward           through the places visited, as a browser does
  checkpoint NAME         marks this place; info checkpoints lists them
  restart NAME            returns to a checkpoint
  run                     begins again at step 0, on a new branch

What is set in the past begins a new branch (help branches). `print x at 40` asks about a past step without going there.

  (gd) watch sign(x - 50)
  watchpoint 1: stops at a change of sign(x - 50)
  (gd) step 100
  step 0 → 78   78 steps
  ...
  stopped: watchpoint 1, sign(x - 50): -1 → 1
  (gd) checkpoint crossing
  checkpoint 1: crossing, step 78 of main
  (gd) step 20
  step 78 → 98   20 steps
  ...
  (gd) reverse-step
  back to step 97   1 step
    x     50.50343      →  50.51276      +0.00933075
  ...
  (gd) reverse-continue
  back to step 78   19 steps
  ...
  stopped: watchpoint 1, sign(x - 50): -1 → 1
  (gd) reverse-continue
  back to step 0   78 steps
  ...
  at the start: no stop held on the way
  (gd) back
  step 0 → 78   78 steps
  ...
  (gd) back
  step 78 → 97   19 steps
  ...
  (gd) forward
  back to step 78   19 steps
  ...
  (gd) goto 12
  back to step 12   66 steps
  ...
  (gd) set lr 0.1
  lr: 1 → 0.1
    on branch b1, from step 12 of main
  (gd) restart crossing
  to step 78 of main, from step 12 of b1
  ...
  (gd) goto min
  step 78
  ...
"""

_BRANCHES = """
All that was ever run is kept as a tree. The first branch is main. Whatever is set at a step that has a future begins a new
branch there (b1, b2 and so on), and so does `branch NAME`; the old future is kept. Branches share the steps up to the fork.

  info branches           the tree: steps, length, last loss, optimizer
  switch NAME             to the end of a branch; goto NAME:STEP to a step of it
  diff A B                settings that differ, where the paths part, the losses
  plot                    draws branches over one another
  branch rename A B       another name; `branch delete A` forgets a branch
  whatif lr 0.1 0.4       tries futures aside; with `keep` they become branches

  (gd) set optimizer sgd(0.1)
  ...
  (gd) step 20
  step 0 → 20   20 steps
  ...
  (gd) goto 4
  back to step 4   16 steps
  ...
  (gd) set lr 0.4
  lr: 0.1 → 0.4
    on branch b1, from step 4 of main
  (gd) step 16
  step 4 → 20   16 steps   on b1
  ...
  (gd) branch rename b1 faster
  branch b1 is called faster now
  (gd) diff main faster
  main and faster part at step 5: loss differs
    setting  main  faster
    lr       0.1   0.4
    on faster at step 4: set lr 0.4
    step  loss of main  loss of faster
    5     237.1895      14.82434
  ...
  (gd) goto main:4
  to step 4 of main, from step 20 of faster
  ...
  (gd) whatif lr 0.3 1.2 for 16 keep
  from step 4, loss 370.6087:
              outcome        steps  final loss  ...
    as it is  moving         16     0.29363     ...
    lr 0.3    converged      16     5.8208e-11  ...
    lr 1.2    diverged at 8  16     1.758e7     ...
  ...
  (gd) branch delete lr-1.2 --yes
  branch lr-1.2 is deleted: 16 points that no other branch has
  (gd) info branches
    branch     steps  length  loss          optimizer
  * main       0..20  20      0.2936274     SGD(lr=0.1)
    ├─ faster  4..20  16      0             SGD(lr=0.4)
    └─ lr-0.3  4..20  16      5.820766e-11  SGD(lr=0.3)
  (gd) switch lr-0.3
  to step 20 of lr-0.3, from step 4 of main
  ...
"""

_SCRIPTS = """
A script (.gd) holds commands, a line each; lines that begin with # are comments. `source FILE` runs it, and so does `gdrepl
debug -x FILE`. An error names file and line, ends the script, and leaves what was done before it.

  define NAME ... end     makes a command; $arg0, $arg1 are the words behind it
  alias NAME = COMMAND    makes a short name for the beginning of a line
  save stops FILE         writes stops and displays as such a script
  info commands           shows what define and alias have made

`gdrepl debug` first runs init.gd in $XDG_CONFIG_HOME/gdrepl, or in ~/.config/gdrepl; --no-init leaves it out. An error in
it ends a batch with status 1; at a prompt it is told, and the session goes on. config.toml beside it holds settings under
[settings] (max-steps, history-limit, print-precision, confirm) and what concerns the screen under [options] (color, ascii,
width). A recording holds what was run, so that its replay needs neither file.

  (gd) define look ;; print $arg0 ;; print norm(grad) ;; end
  look is defined: 2 lines
  (gd) alias low = until loss <
  low is until loss <
  (gd) low 100
  step 0 → 44   44 steps
  ...
  stopped: until loss < 100
  (gd) look x
  $1: x = 40.17142
  $2: norm(grad) = 19.65716
"""

_STABILITY = """
Close enough, a loss is a parabola along each eigenvector of its Hessian H, and an update is a recursion that shrinks or grows
what it finds there. It grows along v1, the steepest, when the learning rate is above a limit. `info lr` tells the limit of the
optimizer in use and how far the rate is from it; `hessian` shows the eigenvalues. lambda is the largest of H; lambda_P that of
P^-1/2 H P^-1/2, where P holds the denominators of the coming update, corrections for bias and epsilon as Keras has them.

  SGD                       2/lambda
  momentum b                2(1+b)/lambda
  Nesterov's                2(1+b)/((1+2b) lambda)
  RMSprop Adagrad Adadelta  2/lambda_P; with momentum b 2(1+b)/lambda_P
  Adam AdamW Adamax         2(1+b1)/((1-b1) lambda_P), b1 is beta_1
  Nadam                     2(1+b1)/((p + q(1+b1)) lambda_P), p and q weigh
                            momentum and gradient in its update

Each is where the two roots of the recursion leave the unit circle (Polyak 1964 for momentum; keras/src/optimizers/ for the
rules); weight decay is counted in. For Ftrl, Lion, Lamb, Muon, Adafactor and ScheduleFreeAdamW no such limit is known.

Above the limit a quadratic diverges. Other losses often bend: training may drive lambda up to the limit and hover there
(Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability"), and adaptive denominators
grow until the rate fits again (Cohen et al. 2022, "Adaptive gradient methods at the edge of stability"). The limit is of the
loss of all data, which gdrepl always descends; with mini-batches the threshold differs, and their noise lowers it.

  (gd) set optimizer sgd(1.05)
  ...
  (gd) info lr
  learning rate at step 0: 1.05x the limit: expect divergence along v1
    rate    1.05
    limit   1   2/lambda
    lambda  2, of the Hessian
    v1      x
    try     set lr 0.5   ...
  ...
  (gd) step 10
  step 0 → 10   10 steps
    x     3             →  -71.90578     -74.90578
  ...
  (gd) set momentum 0.5
  ...
  (gd) info lr
  learning rate at step 10: 0.7x the limit: stable
    rate    1.05
    limit   1.5   2(1+b)/lambda, b the momentum
  ...
  (gd) set lr 0.5
  ...
  (gd) step 60
  ...
  (gd) hessian
  hessian at step 70: minimum, positive definite
    gradient  0 in norm; stationary up to 0.0001
    v1  2  x
"""

PAGES = {
    "branches": ("the tree of all that was run, and what would have been", _BRANCHES.strip("\n")),
    "scripts": ("files of commands, commands of your own, and what is read at the start", _SCRIPTS.strip("\n")),
    "stability": ("how large a learning rate may be, and what the curvature has to do with it", _STABILITY.strip("\n")),
    "stops": ("what ends a run: breakpoints, watchpoints and catchpoints", _STOPS.strip("\n")),
    "time": ("going backwards, bit for bit, and through the places visited", _TIME.strip("\n")),
}
"""Topic -> what it is about, and the text."""
