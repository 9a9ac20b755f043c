# Reference values for estimators, missing values, groups and categories: lavaan's answers, written beside this script.
# Run: Rscript semfit/tests/reference/estimators.R [name ...] (from the root of the repository; a name is a case of the list
# CASES, or compare, effects, measurement; without names: everything). `mkb21 run 2012` first, for the data of wave2012.
# Makes estimators/<case>.json and estimators/data_<name>.csv; compare.json (tests between models), effects.json
# (intervals of indirect effects, with their resamples in estimators/), measurement.json (reliability); a run of
# everything also estimators/sessionInfo.txt. A second run writes the same bytes.
#
# Each fit is nlminb's, then a few Newton steps to a gradient below 1e-10; lavaan computes all else at that point.
# A case is a JSON object. A symmetric matrix is {names, values}, another {rows, columns, values}, a vector {names,
# values}; "per group" is a list, also with one group. Missing is null. Twelve significant digits.
#   model, data, options (estimator, missing, meanstructure, group, group_equal, group_partial, ordered, and what lavaan
#   made of them: se, test, information, conditional_x, parameterization); n_used per group, n_total, ngroups,
#   group_labels, n_rows of the data; gradient (largest, in the directions that constraints leave free),
#   converged, warnings; estimates and standardized (rows; := rows have group 0 where there are groups); measures;
#   tests by name; r2 per group; residuals_cor (rows); implied per group; vcov; h1 per group (saturated moments: EM for
#   fiml, of the sample for listwise; for wlsmv polychoric ones, with wls_obs, and gamma of hscat, in the order of
#   wls_obs); modindices (rows; null with groups or where not asked); score_tests (of equality constraints; null without
#   any): total, and univariate with the two parameters that each constraint ties; partable.
suppressMessages({library(lavaan); library(jsonlite)})
options(warn = 1)
OUT <- "semfit/tests/reference"
HERE <- file.path(OUT, "estimators")
WANTED <- commandArgs(TRUE)
wanted <- function(name) length(WANTED) == 0 || name %in% WANTED
dir.create(HERE, showWarnings = FALSE)
data_file <- function(name) file.path(HERE, paste0("data_", name, ".csv"))

# ---- data: what is analysed is what the file holds ------------------------------------------------------------------
X <- paste0("x", 1:9)

holzinger <- function() {
  d <- HolzingerSwineford1939
  d$female <- d$sex - 1
  d[c(X, "ageyr", "agemo", "grade", "sex", "school", "female")]
}
# about 10 % of x1 to x9 goes missing: half at random, half more often the older; one row loses all nine
holzinger_missing <- function() {
  set.seed(1939)
  d <- holzinger()
  older <- plogis(-3.4 + 0.9 * (d$ageyr - mean(d$ageyr)))
  gone <- matrix(runif(9 * nrow(d)), nrow(d)) < 0.05 + older
  empty <- which(rowSums(gone) == 9)
  gone[empty, 1] <- FALSE
  gone[150, ] <- TRUE
  d[X][gone] <- NA
  stopifnot(sum(rowSums(is.na(d[X])) == 9) == 1)
  d
}
# nine ordered items cut at these shares; c1 to c9 are the original values divided by ten. In the original unit lavaan
# 0.6-14 ends at a polyserial correlation of .99 for four pairs given ageyr: it leaves out cases with a density below
# 1e-8, which is what it then maximises. A smaller unit has larger densities; the correlations do not depend on it.
holzinger_categories <- function() {
  d <- holzinger()
  shares <- list(c(.12, .36, .66, .88), c(.10, .30, .60, .85), c(.15, .40, .68, .90), c(.20, .55, .82),
    c(.15, .42, .75), c(.25, .58, .85), c(.30, .75), c(.35, .70), c(.25, .65))
  items <- mapply(function(x, at) findInterval(x, quantile(x, at)) + 1L, d[X], shares)
  stopifnot(apply(items, 2, function(x) all(table(x, d$school) > 0)))
  data.frame(items, d[c("school", "female", "ageyr")], setNames(d[X] / 10, paste0("c", 1:9)))
}
democracy_missing <- function() {
  set.seed(1965)
  d <- PoliticalDemocracy
  d[matrix(runif(length(as.matrix(d))) < .08, nrow(d))] <- NA
  d
}
inventory <- function() {
  set.seed(2800)
  items <- paste0(rep(c("A", "C", "E", "N", "O"), each = 5), 1:5)
  d <- psych::bfi[sort(sample(nrow(psych::bfi), 600)), ]
  d[c(items, "gender", "age", "education")]
}
GEBRUIKSMODEL <- paste(readLines("semfit/tests/reference/models/gebruiksmodel.lav"), collapse = "\n")
AIMS <- c("awareness", "messages", "dialogue", "turnover", "leads", "offers", "questions", "complaints", "monitoring",
  "informing", "rumours", "signals")
wave2012 <- function() {
  d <- read.csv("data/processed/2012/responses.csv")
  media <- grep("^exp_", names(d), value = TRUE)
  columns <- c(lavNames(GEBRUIKSMODEL, "ov"), paste0("mot_", AIMS), paste0("per_", AIMS), media,
    "user", "size", "solo", "b2c", "east", "flag_careless")
  d <- d[d$user == 1, unique(columns)]
  stopifnot(all.equal(d$solo, as.numeric(d$size == 1)))
  d
}
DATA <- list(hs = holzinger, hsmiss = holzinger_missing, hscat = holzinger_categories,
  pd = function() PoliticalDemocracy, pdmiss = democracy_missing, bfi = inventory, wave2012 = wave2012)
data <- list()
for (name in names(DATA)) {
  write.csv(DATA[[name]](), data_file(name), row.names = FALSE, na = "")
  data[[name]] <- read.csv(data_file(name))
}

# ---- models ---------------------------------------------------------------------------------------------------------
HS <- "visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed =~ x7 + x8 + x9"
COVARIATES <- paste(HS, "visual + textual + speed ~ ageyr + female", sep = "\n")
MIXED <- sub("x1 + x2 + x3", "c1 + c2 + c3", HS, fixed = TRUE)
PATHS <- paste(HS, "speed ~ a*visual + b*textual
textual ~ c*visual
ind := c*b
tot := a + c*b", sep = "\n")
GROUP_PATHS <- paste(HS, "textual ~ visual\nspeed ~ textual + visual", sep = "\n")
PD_MEASUREMENT <- "ind60 =~ x1 + x2 + x3
dem60 =~ y1 + y2 + y3 + y4
dem65 =~ y5 + y6 + y7 + y8"
PD_RESIDUALS <- "y1 ~~ y5
y2 ~~ y4 + y6
y3 ~~ y7
y4 ~~ y8
y6 ~~ y8"
PD <- paste(PD_MEASUREMENT, "dem60 ~ a*ind60
dem65 ~ c*ind60 + b*dem60", PD_RESIDUALS, "indirect := a*b
total := c + a*b
share := indirect/total", sep = "\n")
PD_EQUAL <- "ind60 =~ x1 + x2 + x3
dem60 =~ y1 + l2*y2 + l3*y3 + l4*y4
dem65 =~ y5 + l2*y6 + l3*y7 + l4*y8
dem60 ~ ind60
dem65 ~ ind60 + dem60
y1 ~~ r*y5
y3 ~~ r*y7"
scale_of <- function(trait) paste0(trait, "_ =~ ", paste0(trait, 1:5, collapse = " + "))
BFI <- paste(sapply(c("A", "C", "E", "N", "O"), scale_of), collapse = "\n")
BFI_TWO <- paste(sapply(c("A", "C"), scale_of), collapse = "\n")
# by solo or larger: without size, which is one value of the two; without labels, which would tie paths across groups,
# and without the effects that are defined by labels
GEBRUIKSMODEL_NO_SIZE <- gsub(" \\+ h[38]\\*size", "", GEBRUIKSMODEL)
GEBRUIKSMODEL_NO_LABELS <- gsub("h[0-9]+\\*", "", gsub("(^|\n)[^\n]*:=[^\n]*", "", GEBRUIKSMODEL_NO_SIZE))
stopifnot(!"size" %in% lavNames(GEBRUIKSMODEL_NO_SIZE, "ov"))
GEBRUIKSMODEL_MEASUREMENT <- paste(grep("=~|~~", grep("^#", strsplit(GEBRUIKSMODEL, "\n")[[1]], value = TRUE,
  invert = TRUE), value = TRUE), collapse = "\n")
few_values <- function(d, columns) Filter(function(x) length(unique(na.omit(d[[x]]))) <= 5, columns)
WAVE_ORDERED <- few_values(data$wave2012, lavNames(GEBRUIKSMODEL_MEASUREMENT, "ov"))

# ---- cases ----------------------------------------------------------------------------------------------------------
case <- function(data, model, estimator = "ML", missing = "listwise", meanstructure = "default", group = NULL,
                 group_equal = character(), group_partial = character(), ordered = character(), mi = is.null(group))
  list(data = data, model = model, mi = mi, options = list(estimator = estimator, missing = missing,
    meanstructure = meanstructure, group = group, group_equal = group_equal, group_partial = group_partial,
    ordered = ordered))
STEPS <- list(configural = character(), loadings = "loadings", intercepts = c("loadings", "intercepts"),
  residuals = c("loadings", "intercepts", "residuals"), partial = c("loadings", "intercepts"),
  means = c("loadings", "intercepts", "means"), thresholds = c("loadings", "thresholds"))
by_group <- function(prefix, steps, data, model, ..., group = "school") {
  cases <- lapply(steps, function(step) case(data, model, ..., meanstructure = TRUE, group = group,
    group_equal = STEPS[[step]], group_partial = if (step == "partial") c("x3 ~ 1", "x7 ~ 1") else character()))
  setNames(cases, paste0(prefix, "_group_", steps))
}
CASES <- c(list(
  hs_ml_listwise = case("hs", HS, meanstructure = TRUE),
  hs_mlr_listwise = case("hs", HS, "MLR"),
  hs_mlr_listwise_means = case("hs", HS, "MLR", meanstructure = TRUE),
  hs_mlr_listwise_covariates = case("hs", COVARIATES, "MLR"),
  hsmiss_ml_fiml = case("hsmiss", HS, "ML", "fiml"),
  hsmiss_mlr_fiml = case("hsmiss", HS, "MLR", "fiml"),
  hsmiss_ml_listwise = case("hsmiss", HS, meanstructure = TRUE),
  hsmiss_mlr_listwise = case("hsmiss", HS, "MLR"),
  hsmiss_ml_fiml_covariates = case("hsmiss", COVARIATES, "ML", "fiml"),
  hsmiss_mlr_fiml_covariates = case("hsmiss", COVARIATES, "MLR", "fiml"),
  hsmiss_mlr_fiml_paths = case("hsmiss", PATHS, "MLR", "fiml"),
  pd_ml_listwise = case("pd", PD, meanstructure = TRUE),
  pd_mlr_listwise = case("pd", PD, "MLR"),
  pd_mlr_listwise_equal = case("pd", PD_EQUAL, "MLR"),
  pdmiss_ml_fiml = case("pdmiss", PD, "ML", "fiml"),
  pdmiss_mlr_fiml = case("pdmiss", PD, "MLR", "fiml"),
  hscat_wlsmv_listwise = case("hscat", HS, "WLSMV", ordered = X),
  hscat_wlsmv_listwise_covariates = case("hscat", COVARIATES, "WLSMV", ordered = X),
  hscat_wlsmv_listwise_mixed = case("hscat", paste(MIXED, "visual + textual + speed ~ ageyr", sep = "\n"), "WLSMV",
    ordered = X[4:9]),
  hscat_wlsmv_listwise_mixed_measurement = case("hscat", MIXED, "WLSMV", ordered = X[4:9]),
  hscat_wlsmv_listwise_paths = case("hscat", sub("\ntot := a \\+ c\\*b", "", sub("c\\*b", "b*c", PATHS)), "WLSMV",
    ordered = X)),
  by_group("hs_ml_listwise", c("configural", "loadings", "intercepts", "residuals", "partial", "means"), "hs", HS),
  by_group("hs_mlr_listwise", c("configural", "loadings", "intercepts", "residuals", "partial"), "hs", HS, "MLR"),
  list(
    hs_ml_listwise_group_paths = case("hs", GROUP_PATHS, meanstructure = TRUE, group = "school"),
    hs_ml_listwise_group_regressions = case("hs", GROUP_PATHS, meanstructure = TRUE, group = "school",
      group_equal = "regressions")),
  by_group("hsmiss_mlr_fiml", c("configural", "loadings", "intercepts"), "hsmiss", HS, "MLR", "fiml"),
  by_group("hscat_wlsmv_listwise", c("configural", "loadings", "thresholds"), "hscat", HS, "WLSMV", ordered = X),
  list(
    bfi_ml_listwise = case("bfi", BFI, meanstructure = TRUE),
    bfi_mlr_fiml = case("bfi", BFI, "MLR", "fiml"),
    bfi_wlsmv_listwise = case("bfi", BFI, "WLSMV", ordered = lavNames(BFI, "ov"))),
  by_group("bfi_mlr_fiml", "loadings", "bfi", BFI_TWO, "MLR", "fiml", group = "gender"),
  list(
    wave2012_ml_listwise = case("wave2012", GEBRUIKSMODEL, meanstructure = TRUE, mi = FALSE),
    wave2012_mlr_listwise = case("wave2012", GEBRUIKSMODEL, "MLR", mi = FALSE),
    wave2012_ml_fiml = case("wave2012", GEBRUIKSMODEL, "ML", "fiml", mi = FALSE),
    wave2012_mlr_fiml = case("wave2012", GEBRUIKSMODEL, "MLR", "fiml"),
    wave2012_wlsmv_listwise = case("wave2012", GEBRUIKSMODEL, "WLSMV", ordered = WAVE_ORDERED, mi = FALSE),
    wave2012_mlr_fiml_measurement = case("wave2012", GEBRUIKSMODEL_MEASUREMENT, "MLR", "fiml", mi = FALSE)),
  by_group("wave2012_mlr_fiml", c("configural", "loadings"), "wave2012", GEBRUIKSMODEL_NO_LABELS, "MLR", "fiml",
    group = "solo"),
  list(wave2012_mlr_fiml_group_labels = case("wave2012", GEBRUIKSMODEL_NO_SIZE, "MLR", "fiml", meanstructure = TRUE,
    group = "solo")))

# ---- fit ------------------------------------------------------------------------------------------------------------
arguments <- function(case) {
  o <- case$options
  a <- list(model = case$model, data = data[[case$data]], estimator = o$estimator, missing = o$missing,
    meanstructure = o$meanstructure, fixed.x = TRUE, em.h1.iter.max = 5000, em.h1.tol = 1e-12)
  if (length(o$ordered)) a$ordered <- o$ordered
  if (!is.null(o$group)) a$group <- o$group
  if (length(o$group_equal)) a$group.equal <- o$group_equal
  if (length(o$group_partial)) a$group.partial <- o$group_partial
  a
}
# the gradient at x, in the directions that equality constraints leave free
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
fit_case <- function(case, ...) {
  first <- suppressWarnings(do.call("sem", c(modifyList(arguments(case), list(...)), se = "none", test = "none")))
  stopifnot(lavInspect(first, "converged"))
  start <- parTable(first)
  start$est[start$free > 0] <- newton(first)[start$free[start$free > 0]]
  fit <- do.call("sem", c(modifyList(arguments(case), list(...)), list(start = start, optim.method = "none")))
  stopifnot(largest_gradient(fit) < 1e-10,
    all.equal(as.numeric(coef(fit)), start$est[start$free > 0], tolerance = 1e-12),
    all.equal(as.numeric(coef(fit)), as.numeric(coef(first)), tolerance = 1e-3))
  fit
}
largest_gradient <- function(fit) max(abs(gradient_at(fit, as.numeric(coef(fit)))))

# ---- what a case holds ----------------------------------------------------------------------------------------------
listed <- function(names) if (is.null(names)) NULL else I(names)
encode <- function(m) {
  m <- unclass(m)
  if (is.list(m)) return(lapply(m, encode))
  if (!is.matrix(m)) return(list(names = listed(names(m)), values = I(as.numeric(m))))
  values <- matrix(as.numeric(m), nrow(m))
  if (identical(rownames(m), colnames(m))) list(names = listed(rownames(m)), values = values)
  else list(rows = listed(rownames(m)), columns = listed(colnames(m)), values = values)
}
per_group <- function(fit, what) unname(lavInspect(fit, what, drop.list.single.group = FALSE))
rows_of <- function(table) {
  table <- as.data.frame(table)
  if (is.null(table$group)) table$group <- 1L
  if (is.null(table$label)) table$label <- rep("", nrow(table))
  class(table) <- "data.frame"
  table$block <- NULL
  table
}
residual_correlations <- function(fit) {
  type <- if (lavInspect(fit, "categorical")) "cor" else "cor.bentler"
  groups <- residuals(fit, type = type)
  if (lavInspect(fit, "ngroups") == 1) groups <- list(groups)
  do.call(rbind, lapply(seq_along(groups), function(g) {
    m <- unclass(groups[[g]][[intersect(c("cov", "res.cov"), names(groups[[g]]))]])
    at <- which(lower.tri(m), arr.ind = TRUE)
    data.frame(a = rownames(m)[at[, 1]], b = colnames(m)[at[, 2]], residual = m[at], group = g)
  }))
}
saturated <- function(fit, case) {
  if (!lavInspect(fit, "categorical"))
    return(lapply(per_group(fit, if (case$options$missing == "fiml") "sampstat.h1" else "sampstat"), encode))
  moments <- per_group(fit, "sampstat")
  observed <- per_group(fit, "wls.obs")
  gamma <- if (case$data == "hscat") per_group(fit, "gamma")
  lapply(seq_along(moments), function(g) c(encode(moments[[g]]), list(wls_obs = encode(observed[[g]]),
    gamma = if (is.null(gamma)) NULL else encode(gamma[[g]]))))
}
score_tests <- function(fit) {
  table <- parTable(fit)
  if (!any(table$op == "==")) return(NULL)
  tests <- tryCatch(suppressWarnings(lavTestScore(fit, univariate = TRUE, epc = FALSE)), error = function(e) NULL)
  if (is.null(tests)) return(NULL)
  parameter <- function(plabel) {
    at <- match(plabel, table$plabel)
    data.frame(lhs = table$lhs[at], op = table$op[at], rhs = table$rhs[at], group = table$group[at])
  }
  uni <- as.data.frame(tests$uni)
  class(uni) <- "data.frame"
  uni$first <- parameter(uni$lhs)
  uni$second <- parameter(uni$rhs)
  total <- as.list(as.data.frame(tests$test)[c("X2", "df", "p.value")])
  list(total = total, univariate = uni)
}
modification <- function(fit) {
  table <- tryCatch(suppressWarnings(modificationIndices(fit, standardized = TRUE)), error = function(e) NULL)
  if (is.null(table)) return(NULL)
  rows_of(table)[c("lhs", "op", "rhs", "group", "mi", "epc", "sepc.all")]
}
reference <- function(case) {
  warnings <- character()
  keep <- function(w) {
    text <- trimws(gsub("\\s+", " ", sub("^lavaan WARNING:", "", conditionMessage(w))))
    warnings <<- union(warnings, text)
    invokeRestart("muffleWarning")
  }
  withCallingHandlers({
    fit <- fit_case(case)
    estimates <- rows_of(parameterEstimates(fit, standardized = TRUE))
    standardized <- rows_of(standardizedSolution(fit))
    measures <- as.list(unclass(fitMeasures(fit)))
  }, warning = keep)
  o <- lavInspect(fit, "options")
  labels <- lavInspect(fit, "group.label")
  covariance <- unclass(vcov(fit))
  attributes(covariance) <- attributes(covariance)[c("dim", "dimnames")]
  list(
    model = case$model, data = case$data,
    options = list(
      estimator = case$options$estimator, missing = case$options$missing,
      meanstructure = lavInspect(fit, "meanstructure"), group = case$options$group,
      group_equal = I(case$options$group_equal), group_partial = I(case$options$group_partial),
      ordered = I(case$options$ordered), se = o$se, test = I(o$test), information = I(o$information),
      conditional_x = o$conditional.x, parameterization = o$parameterization),
    n_used = I(as.integer(lavInspect(fit, "nobs"))), n_total = lavInspect(fit, "ntotal"),
    ngroups = lavInspect(fit, "ngroups"), group_labels = I(as.character(labels)), n_rows = nrow(data[[case$data]]),
    gradient = largest_gradient(fit), converged = lavInspect(fit, "converged"),
    warnings = I(warnings),
    estimates = estimates, standardized = standardized, measures = measures,
    tests = lapply(lavInspect(fit, "test"), function(test)
      test[c("stat", "df", "pvalue", "scaling.factor", "shift.parameter")[
        c("stat", "df", "pvalue", "scaling.factor", "shift.parameter") %in% names(test)]]),
    r2 = lapply(per_group(fit, "r2"), function(r2) as.list(unclass(r2))),
    residuals_cor = residual_correlations(fit), implied = lapply(per_group(fit, "implied"), encode),
    vcov = encode(covariance), h1 = saturated(fit, case),
    modindices = if (case$mi) modification(fit), score_tests = score_tests(fit),
    partable = rows_of(parTable(fit))[c("id", "lhs", "op", "rhs", "group", "free", "ustart", "exo", "label", "plabel",
      "est")])
}
write_json_file <- function(value, file)
  write(toJSON(value, digits = I(12), na = "null", null = "null", auto_unbox = TRUE), file)

LIMIT <- 700e3
for (name in Filter(wanted, names(CASES))) {
  seconds <- system.time(value <- reference(CASES[[name]]))[["elapsed"]]
  file <- file.path(HERE, paste0(name, ".json"))
  write_json_file(value, file)
  if (file.size(file) > LIMIT) {
    value$vcov <- NULL
    value$h1 <- lapply(value$h1, function(moments) moments[names(moments) != "gamma"])
    write_json_file(value, file)
    cat("  over the limit, without vcov and gamma:", name, "\n")
  }
  cat(sprintf("%-45s n %3d npar %3d gradient %.1e %6.1f s %4.0f kB\n", name, value$n_total, value$measures$npar,
    value$gradient, seconds, file.size(file) / 1000))
  for (text in value$warnings) cat("  warning:", text, "\n")
}
# ---- compare.json: tests between models -----------------------------------------------------------------------------
# lrt: likelihood-ratio tests of nested models, each row against the row above; method as lavTestLRT chooses it.
without_path <- function(text) paste(grep("^(total|share) :=", sub("c\\*ind60 \\+ ", "", strsplit(text, "\n")[[1]]),
  value = TRUE, invert = TRUE), collapse = "\n")
likelihood_ratio <- function(cases) {
  fits <- lapply(cases, fit_case)
  table <- as.data.frame(do.call(lavTestLRT, c(unname(fits), list(model.names = names(fits)))))
  class(table) <- "data.frame"
  fits <- fits[rownames(table)]
  scaled <- sapply(fits, function(fit) length(lavInspect(fit, "test")) > 1)
  method <- if (!any(scaled)) "standard"
    else if (lavInspect(fits[[1]], "categorical")) "satorra.2000" else "satorra.bentler.2001"
  extra <- t(sapply(fits, function(fit) fitMeasures(fit)[c("npar", "logl", "chisq.scaled", "df.scaled",
    "chisq.scaling.factor")]))
  dimnames(extra) <- list(NULL, c("npar", "logl", "chisq.scaled", "df.scaled", "chisq.scaling.factor"))
  first <- cases[[1]]
  list(data = first$data, estimator = first$options$estimator, missing = first$options$missing, method = method,
    meanstructure = lavInspect(fits[[1]], "meanstructure"), group = first$options$group,
    ordered = I(first$options$ordered), models = lapply(cases, function(case) list(model = case$model,
      group_equal = I(case$options$group_equal), group_partial = I(case$options$group_partial))),
    rows = cbind(name = rownames(table), table, extra, row.names = NULL))
}
steps_of <- function(prefix, steps) setNames(CASES[paste0(prefix, "_group_", steps)], steps)
LIKELIHOOD_RATIO <- list(
  hs_ml = steps_of("hs_ml_listwise", c("configural", "loadings", "intercepts", "residuals")),
  hs_ml_partial = steps_of("hs_ml_listwise", c("loadings", "partial", "intercepts")),
  hs_ml_means = steps_of("hs_ml_listwise", c("intercepts", "means")),
  hs_ml_regressions = setNames(CASES[paste0("hs_ml_listwise_group_", c("paths", "regressions"))],
    c("paths", "regressions")),
  hs_mlr = steps_of("hs_mlr_listwise", c("configural", "loadings", "intercepts", "residuals")),
  hs_mlr_partial = steps_of("hs_mlr_listwise", c("loadings", "partial", "intercepts")),
  hsmiss_mlr_fiml = steps_of("hsmiss_mlr_fiml", c("configural", "loadings", "intercepts")),
  hscat_wlsmv = steps_of("hscat_wlsmv_listwise", c("configural", "loadings", "thresholds")),
  pd_ml = list(path = CASES$pd_ml_listwise, no_path = modifyList(CASES$pd_ml_listwise,
    list(model = without_path(PD)))),
  pd_mlr = list(path = CASES$pd_mlr_listwise, no_path = modifyList(CASES$pd_mlr_listwise,
    list(model = without_path(PD)))))
# information_criteria: models that are not nested in one another, of the same data
NOT_NESTED <- list(
  path = PD, no_path = without_path(PD), no_residuals = sub(PD_RESIDUALS, "", PD, fixed = TRUE),
  reversed = paste(PD_MEASUREMENT, "ind60 ~ dem65\ndem60 ~ dem65", PD_RESIDUALS, sep = "\n"),
  one_democracy = paste("ind60 =~ x1 + x2 + x3\ndem =~ y1 + y2 + y3 + y4 + y5 + y6 + y7 + y8\ndem ~ ind60",
    PD_RESIDUALS, sep = "\n"))
information_criteria <- function(name) {
  fit <- fit_case(case("pd", NOT_NESTED[[name]], meanstructure = TRUE))
  c(list(name = name, model = NOT_NESTED[[name]], n = lavInspect(fit, "ntotal")),
    as.list(unclass(fitMeasures(fit, c("npar", "df", "chisq", "logl", "aic", "bic", "bic2")))))
}
# wald: equal paths of the schools, tested on the model that leaves them free
WALD_MODEL <- paste(HS, "textual ~ c(c1, c2)*visual\nspeed ~ c(b1, b2)*textual + c(a1, a2)*visual", sep = "\n")
WALD <- list(a = "a1 == a2", b = "b1 == b2", c = "c1 == c2", all = "a1 == a2\nb1 == b2\nc1 == c2")
wald <- function(estimator) {
  fit <- fit_case(case("hs", WALD_MODEL, estimator, meanstructure = TRUE, group = "school"))
  list(data = "hs", model = WALD_MODEL, estimator = estimator, group = "school", tests = lapply(WALD, function(text) {
    test <- lavTestWald(fit, text)
    list(constraints = text, stat = test$stat, df = test$df, p.value = test$p.value, se = test$se)
  }))
}
if (wanted("compare")) {
  write_json_file(list(lrt = lapply(LIKELIHOOD_RATIO, likelihood_ratio), wald = lapply(c(ml = "ML", mlr = "MLR"), wald),
    information_criteria = lapply(names(NOT_NESTED), information_criteria)), file.path(OUT, "compare.json"))
  cat("compare\n")
}

# ---- effects.json: intervals of indirect effects --------------------------------------------------------------------
# pd_resamples.csv: rows of the data (from 1) in each of 200 resamples; pd_bootstrap.csv: the estimates in each;
# pd_jackknife.csv: the estimates without row 1, 2, ... 75. Intervals of the 200, per parameter:
#   percentile: quantile(type = 6), which interpolates linearly between order statistics of (R + 1) p;
#   percentile_normal: norm.inter of boot::boot.ci, which interpolates on the normal scale, as lavaan's "perc" does;
#   bca_simple: bias correction only, lavaan's "bca.simple";
#   bca_regression: acceleration from regressing estimates on how often each row was drawn, lavaan's "bca";
#   bca: acceleration from the jackknife, sum(l^3) / (6 sum(l^2)^1.5) with l = mean(estimate without i) - it.
# Each bca uses norm.inter at its levels, and the share of estimates strictly below the estimate.
norm_inter <- function(t, level) {
  t <- sort(t)
  rank <- (length(t) + 1) * level
  k <- pmin(pmax(trunc(rank), 1), length(t) - 1)
  at <- function(j) qnorm(j / (length(t) + 1))
  inner <- t[k] + (qnorm(level) - at(k)) / (at(k + 1) - at(k)) * (t[k + 1] - t[k])
  ifelse(rank <= 1, t[1], ifelse(rank >= length(t), t[length(t)], inner))
}
bca_levels <- function(t, estimate, acceleration, level) {
  w <- qnorm(mean(t < estimate))
  z <- w + qnorm((1 + c(-level, level)) / 2)
  pnorm(w + z / (1 - acceleration * z))
}
acceleration_of <- function(l) sum((l - mean(l))^3) / (6 * sum((l - mean(l))^2)^1.5)
bootstrap_intervals <- function(estimate, t, without, frequency, level = 0.95) {
  two <- (1 + c(-level, level)) / 2
  influence <- c(0, unname(lm.fit(cbind(1, frequency[, -1]), t)$coefficients)[-1])
  a <- c(bca = acceleration_of(-without), bca_regression = acceleration_of(influence), bca_simple = 0)
  list(estimate = estimate, bootstrap_mean = mean(t), bootstrap_sd = sd(t), below = mean(t < estimate),
    acceleration = a[["bca"]], acceleration_regression = a[["bca_regression"]],
    percentile = unname(quantile(t, two, type = 6)), percentile_normal = norm_inter(t, two),
    bca = norm_inter(t, bca_levels(t, estimate, a[["bca"]], level)),
    bca_regression = norm_inter(t, bca_levels(t, estimate, a[["bca_regression"]], level)),
    bca_simple = norm_inter(t, bca_levels(t, estimate, 0, level)))
}
defined <- function(fit) {
  rows <- rows_of(parameterEstimates(fit, standardized = TRUE))
  rows[rows$op == ":=", ]
}
estimates_on <- function(rows) {
  fit <- suppressWarnings(sem(PD, data$pd[rows, ], se = "none", test = "none"))
  if (!lavInspect(fit, "converged")) return(NULL)
  x <- newton(fit)
  stopifnot(max(abs(gradient_at(fit, x))) < 1e-9, all.equal(x, as.numeric(coef(fit)), tolerance = 1e-3))
  c(setNames(x, names(coef(fit))), fit@Model@def.function(x))
}
effects_reference <- function() {
  fit <- fit_case(case("pd", PD))
  n <- nrow(data$pd)
  set.seed(75)
  resamples <- matrix(sample(n, 200 * n, TRUE), 200, byrow = TRUE)
  colnames(resamples) <- paste0("row", seq_len(n))
  write.csv(resamples, file.path(HERE, "pd_resamples.csv"), row.names = FALSE)
  keep <- function(index, file) {
    found <- lapply(index, estimates_on)
    bad <- which(sapply(found, is.null))
    if (length(bad)) cat("  not converged, left empty in", file, ":", bad, "\n")
    empty <- estimates_on(seq_len(n)) * NA
    table <- signif(do.call(rbind, lapply(found, function(x) if (is.null(x)) empty else x)), 12)
    write.csv(data.frame(resample = seq_along(index), table, check.names = FALSE), file.path(HERE, file),
      row.names = FALSE, na = "")
    table
  }
  boot <- keep(asplit(resamples, 1), "pd_bootstrap.csv")
  jack <- keep(lapply(seq_len(n), function(i) seq_len(n)[-i]), "pd_jackknife.csv")
  estimate <- estimates_on(seq_len(n))
  good <- stats::complete.cases(boot)
  frequency <- t(apply(resamples[good, ], 1, tabulate, nbins = n))
  set.seed(1000000)
  simulated <- semTools::monteCarloCI(fit, nRep = 1e6)
  class(simulated) <- "data.frame"
  list(
    pd = list(data = "pd", model = PD, estimator = "ML", delta = defined(fit),
      bootstrap = list(resamples = nrow(boot), converged = sum(good), level = 0.95,
        parameters = sapply(colnames(boot), function(name)
          bootstrap_intervals(estimate[[name]], boot[good, name], jack[, name], frequency), simplify = FALSE)),
      monte_carlo = list(draws = 1e6, level = 0.95, rows = cbind(name = rownames(simulated), simulated,
        row.names = NULL))),
    hs_paths = list(data = "hs", model = PATHS, estimator = "ML", delta = defined(fit_case(case("hs", PATHS)))))
}
if (wanted("effects")) {
  write_json_file(effects_reference(), file.path(OUT, "effects.json"))
  cat("effects\n")
}

# ---- measurement.json: reliability and validity of latent variables -------------------------------------------------
# semTools: compRelSEM (omega) and AVE, over the observed (obs.var = TRUE) or the implied total variance; of ordered
# items on the scale of the answers (ord.scale = TRUE) or of the latent responses. htmt and htmt2 with absolute
# correlations, Pearson or polychoric, of the rows that are complete on the indicators (n_htmt).
reliability_of <- function(fit) {
  one <- function(f, ...) lapply(c(observed = TRUE, implied = FALSE), function(total)
    as.list(suppressWarnings(f(fit, obs.var = total, ...))))
  c(if (lavInspect(fit, "categorical"))
    list(omega_answers = one(semTools::compRelSEM, ord.scale = TRUE),
      omega_latent_responses = one(semTools::compRelSEM, ord.scale = FALSE))
  else list(omega = one(semTools::compRelSEM)), list(ave = one(semTools::AVE)))
}
htmt_of <- function(case, ordered = NULL) {
  table <- data[[case$data]]
  model <- paste(grep("=~", strsplit(case$model, "\n")[[1]], value = TRUE), collapse = "\n")
  one <- function(second) encode(semTools::htmt(model, table, ordered = ordered, htmt2 = second))
  list(n_htmt = sum(complete.cases(table[lavNames(model, "ov")])), htmt = one(FALSE), htmt2 = one(TRUE))
}
MEASUREMENT <- c(hs = "hs_ml_listwise", hsmiss = "hsmiss_ml_fiml", hscat = "hscat_wlsmv_listwise",
  bfi = "bfi_ml_listwise", bfi_wlsmv = "bfi_wlsmv_listwise", wave2012 = "wave2012_ml_listwise")
measurement <- function(name) {
  this <- CASES[[name]]
  list(case = name, data = this$data, reliability = reliability_of(fit_case(this)),
    pearson = if (this$options$missing == "listwise") htmt_of(this),
    polychoric = if (length(this$options$ordered)) htmt_of(this, this$options$ordered))
}
if (wanted("measurement")) {
  write_json_file(lapply(MEASUREMENT, measurement), file.path(OUT, "measurement.json"))
  cat("measurement\n")
}

if (length(WANTED) == 0)
  writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), file.path(HERE, "sessionInfo.txt"))
