# Reference values of constraints (==, <, >, bounds, effect coding): lavaan's estimates, standard errors and tests.
# Run: Rscript semfit/tests/reference/constraints.R (from the root of the repository). Makes constraints.json and
# constraints_sessionInfo.txt. Data: estimators/data_<name>.csv. Fits whose equalities are linear are polished by Newton
# steps; the others end where lavaan's augmented Lagrangian does, with narrow tolerances.
# With LAVAAN_NEW=<library with lavaan 0.7-2>: constraints_0_7.json, the estimates of some, as lavaan finds them.
new <- Sys.getenv("LAVAAN_NEW")
suppressMessages({if (nzchar(new)) library(lavaan, lib.loc = new) else library(lavaan); library(jsonlite)})
options(warn = 1)
OUT <- "semfit/tests/reference"
read <- function(name) read.csv(file.path(OUT, "estimators", paste0("data_", name, ".csv")))

HS <- "visual =~ x1 + a*x2 + b*x3
textual =~ x4 + c*x5 + d*x6
speed =~ x7 + e*x8 + f*x9
x1 ~~ v1*x1
x4 ~~ v4*x4"
PATHS <- paste(HS, "textual ~ p*visual\nspeed ~ q*textual + r*visual\nind := p*q\ntotal := p*q + r", sep = "\n")
TWO <- paste(HS, "visual ~ a1*ageyr + a2*female\ntextual ~ b1*visual + b2*ageyr\nspeed ~ c1*visual + c2*female
one := a1*b1\ntwo := a2*c1", sep = "\n")
CODED <- "visual =~ NA*x1 + l1*x1 + l2*x2 + l3*x3
textual =~ NA*x4 + m1*x4 + m2*x5 + m3*x6
visual ~~ cv*textual
l1 + l2 + l3 == 3
m1 + m2 + m3 == 3
mean := (l1 + l2)/2"
CODED_MEANS <- "visual =~ NA*x1 + c(l1, l1)*x1 + c(l2, l2)*x2 + c(l3, l3)*x3
x1 ~ c(t1, t1)*1
x2 ~ c(t2, t2)*1
x3 ~ c(t3, t3)*1
visual ~ c(m1, m2)*1
l1 + l2 + l3 == 3
t1 + t2 + t3 == 0
gap := m2 - m1"
GROUPED <- "visual =~ x1 + c(a1, a2)*x2 + c(b1, b2)*x3
textual =~ x4 + x5 + x6
textual ~ c(p1, p2)*visual
gap := p2 - p1
a1 == a2
b1 == b2
p2 == 2*p1"
GROWTH <- "i =~ 1*x4 + 1*x5 + 1*x6
s =~ 0*x4 + 1*x5 + w*x6
i ~ mi*1
s ~ ms*1
x4 ~ 0*1
x5 ~ 0*1
x6 ~ 0*1
x4 ~~ e*x4
x5 ~~ e*x5
x6 ~~ e3*x6
s ~~ vs*s
e3 == 2*e
w == exp(0.5)
vs > 0.05"
case <- function(data, model, more = "", ...) list(
  data = data, model = paste(c(model, more), collapse = "\n"), options = list(...))
ITEMS <- paste0("x", 1:9)
CASES <- list(
  linear = case("hs", HS, c("a == b", "c + d == 2*e")),
  zero = case("hs", PATHS, "r == 0"),
  shifted = case("hs", PATHS, "p == r + 0.25"),
  covariates = case("hs", TWO, "a1*b1 == a2*c1"),
  nonlinear = case("hs", PATHS, "b == (p + q)^2"),
  defined = case("hs", PATHS, "ind == 0.05"),
  redundant = case("hs", HS, c("a == b", "b == a", "2*a == 2*b")),
  active = case("hs", PATHS, c("a > 0.8", "q > 0")),
  inactive = case("hs", PATHS, c("a < 0.8", "v1 > 0.2")),
  mixed = case("hs", PATHS, c("c == d", "r < 0.2", "p*q > 0.02")),
  bounded = case("hs", "visual =~ x1 + x2 + upper(0.7)*x3\ntextual =~ x4 + x5 + x6\nx1 ~~ lower(0.7)*x1"),
  coded = case("hs", CODED),
  coded_means = case("hs", CODED_MEANS, group = "school"),
  grouped = case("hs", GROUPED, group = "school"),
  growth = case("hs", GROWTH),
  mlr_linear = case("hs", HS, c("a == b", "c + d == 2*e"), estimator = "MLR"),
  mlr_nonlinear = case("hs", PATHS, "b == (p + q)^2", estimator = "MLR"),
  mlr_covariates = case("hs", TWO, "a1*b1 == a2*c1", estimator = "MLR"),
  mlr_active = case("hs", PATHS, c("a > 0.8", "q > 0"), estimator = "MLR"),
  mlr_coded = case("hs", CODED, estimator = "MLR"),
  mlr_grouped = case("hs", GROUPED, estimator = "MLR", group = "school"),
  fiml_linear = case("hsmiss", HS, c("a == b", "c + d == 2*e"), missing = "fiml"),
  fiml_nonlinear = case("hsmiss", PATHS, "b == (p + q)^2", estimator = "MLR", missing = "fiml"),
  fiml_active = case("hsmiss", PATHS, c("a > 0.8", "c == d"), estimator = "MLR", missing = "fiml"),
  fiml_coded = case("hsmiss", CODED, estimator = "MLR", missing = "fiml"),
  fiml_grouped = case("hsmiss", GROUPED, estimator = "MLR", missing = "fiml", group = "school"),
  ordered_linear = case("hscat", sub("x1 ~~.*", "", HS), c("a == b", "c + d == 2*e"), estimator = "WLSMV", ordered = ITEMS),
  ordered_nonlinear = case("hscat", sub("x1 ~~.*x4\n", "", PATHS), "b == (p + q)^2", estimator = "WLSMV", ordered = ITEMS),
  ordered_active = case("hscat", sub("x1 ~~.*x4\n", "", PATHS), c("a < 0.5", "c == d"), estimator = "WLSMV",
    ordered = ITEMS),
  ordered_covariates = case("hscat", sub("x1 ~~.*x4\n", "", TWO), "a1*b1 == a2*c1", estimator = "WLSMV", ordered = ITEMS),
  ordered_coded = case("hscat", CODED, estimator = "WLSMV", ordered = ITEMS[1:6]),
  ordered_grouped = case("hscat", GROUPED, estimator = "WLSMV", ordered = ITEMS[1:6], group = "school"))

free_directions <- function(fit) if (fit@Model@eq.constraints) fit@Model@eq.constraints.K else diag(fit@Model@nx.free)
gradient_at <- function(fit, x) as.numeric(lavaan:::lav_model_gradient(
  lavaan:::lav_model_set_parameters(fit@Model, x), lavsamplestats = fit@SampleStats, lavdata = fit@Data,
  lavcache = fit@Cache, type = "free", group.weight = !fit@SampleStats@missing.flag) %*% free_directions(fit))
newton <- function(fit, steps = 4, h = 1e-5) {
  K <- free_directions(fit)
  x <- as.numeric(coef(fit))
  hessian <- sapply(seq_len(ncol(K)), function(j)
    (gradient_at(fit, x + h * K[, j]) - gradient_at(fit, x - h * K[, j])) / (2 * h))
  for (step in seq_len(steps)) x <- x - as.numeric(K %*% solve(hessian, gradient_at(fit, x)))
  x
}
lagrangian <- function(fit) any(c(fit@Model@ceq.nonlinear.idx, fit@Model@cin.linear.idx, fit@Model@cin.nonlinear.idx) > 0)
bounded <- function(fit) any(c("lower", "upper") %in% names(parTable(fit)))
fit_case <- function(case) {
  arguments <- c(list(model = case$model, data = read(case$data), fixed.x = TRUE, em.h1.iter.max = 5000,
    em.h1.tol = 1e-12), case$options[lengths(case$options) > 0])
  first <- do.call("sem", arguments)
  if (bounded(first)) return(first)
  if (lagrangian(first))
    return(do.call("sem", c(arguments, list(control = list(rel.tol = if (is.null(case$options$missing)) 1e-13 else 1e-11, control.outer = list(tol = 1e-10))))))
  start <- parTable(first)
  start$est[start$free > 0] <- newton(first)[start$free[start$free > 0]]
  fit <- do.call("sem", c(arguments, list(start = start, optim.method = "none")))
  stopifnot(max(abs(gradient_at(fit, as.numeric(coef(fit))))) < 1e-9)
  fit
}
MEASURES <- c("npar", "chisq", "df", "chisq.scaled", "chisq.scaling.factor", "baseline.chisq", "cfi", "rmsea", "srmr",
  "cfi.scaled", "rmsea.scaled", "cfi.robust", "rmsea.robust", "logl", "aic", "bic")
table_of <- function(table, columns) {
  table <- as.data.frame(table)
  class(table) <- "data.frame"
  if (is.null(table$group)) table$group <- 1L
  if (is.null(table$label)) table$label <- ""
  table[columns]
}
score_tests <- function(fit) {
  tests <- tryCatch(suppressWarnings(lavTestScore(fit)), error = function(e) NULL)
  if (is.null(tests)) return(NULL)
  list(total = as.list(as.data.frame(tests$test)[c("X2", "df")]),
    uni = if (!is.null(tests$uni)) { t <- as.data.frame(tests$uni); class(t) <- "data.frame"; t[c("lhs", "op", "rhs", "X2")] })
}
# the same model without its constraints, against it; lavaan's delta method of Satorra (2000) knows linear ones only
NESTED <- c("linear", "mlr_linear", "mlr_nonlinear", "mlr_grouped", "fiml_linear", "fiml_nonlinear", "ordered_linear",
  "ordered_grouped")
nested <- function(name, fit) {
  if (!name %in% NESTED) return(NULL)
  case <- CASES[[name]]
  lines <- strsplit(case$model, "\n")[[1]]
  case$model <- paste(lines[!grepl("==|<|>", lines)], collapse = "\n")
  test <- as.data.frame(lavTestLRT(fit_case(case), fit))
  as.list(setNames(test[2, c("Chisq diff", "Df diff")], c("chisq", "df")))
}
WALD <- list(linear = "a == 0.7", mlr_nonlinear = "p == r; q == 0.1", ordered_linear = "a == 0.7", grouped = "gap == 0.2")
wald <- function(name, fit) {
  if (!name %in% names(WALD)) return(NULL)
  test <- lavTestWald(fit, gsub("; ", "\n", WALD[[name]]))
  list(constraints = WALD[[name]], chisq = test$stat, df = test$df)
}
reference <- function(name) {
  case <- CASES[[name]]
  fit <- fit_case(case)
  message(name, ": converged ", fit@optim$converged)
  m <- fitMeasures(fit)
  test <- if (length(fit@test) > 1) fit@test[[2]] else list()
  c(case, list(
    group_labels = I(as.character(lavInspect(fit, "group.label"))),
    measures = as.list(m[intersect(MEASURES, names(m))]),
    shift = sum(test$shift.parameter),
    estimates = table_of(parameterEstimates(fit), c("lhs", "op", "rhs", "group", "label", "est", "se", "z")),
    standardized = table_of(standardizedSolution(fit), c("lhs", "op", "rhs", "group", "est.std", "se")),
    modindices = table_of(modificationIndices(fit), c("lhs", "op", "rhs", "group", "mi", "epc")),
    score = score_tests(fit), nested = nested(name, fit), wald = wald(name, fit)))
}
if (nzchar(new)) {
  estimates <- function(name) {
    case <- CASES[[name]]
    fit <- do.call("sem", c(list(model = case$model, data = read(case$data)), case$options))
    table_of(parameterEstimates(fit), c("lhs", "op", "rhs", "group", "est", "se"))
  }
  some <- c("linear", "active", "bounded", "coded", "mlr_active", "fiml_linear", "ordered_active")
  write(toJSON(sapply(some, estimates, simplify = FALSE), digits = I(12), auto_unbox = TRUE, na = "null"),
    file.path(OUT, "constraints_0_7.json"))
  writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), file.path(OUT, "constraints_0_7_sessionInfo.txt"))
  quit(save = "no")
}
write(toJSON(sapply(names(CASES), reference, simplify = FALSE), digits = I(12), auto_unbox = TRUE, na = "null"),
  file.path(OUT, "constraints.json"))
writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), file.path(OUT, "constraints_sessionInfo.txt"))
