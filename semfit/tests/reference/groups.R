# Reference values for comparisons of groups and of models: lavaan's and semTools's answers, written beside this script.
# Run: Rscript semfit/tests/reference/groups.R (from the root of the repository; reads estimators/data_*.csv). It makes
# groups.json and groups_sessionInfo.txt. Groups are in alphabetical order.
#   invariance   for each case and step: measures, the row of lavTestLRT against the step before it, score tests
#   means        differences of latent means, raw and over the pooled standard deviation, by := with standard errors
#   paths        for each path: Wald test and likelihood-ratio test of equality across groups; and of all paths
#   scaled_2010  differences by Satorra & Bentler (2010), with the scaling of 2001 (NA where it is negative)
#   nested       semTools::net: is the second model nested in the first?
#   models       the model files of the package on wave2012: measures, effects (:=), differences
suppressMessages({library(lavaan); library(semTools); library(jsonlite)})
options(warn = 1)
OUT <- "semfit/tests/reference"
data <- sapply(c("hs", "hscat", "pd", "wave2012"), function(name)
  read.csv(file.path(OUT, "estimators", paste0("data_", name, ".csv"))), simplify = FALSE)
# nlminb stops at a gradient of about 1e-6: four Newton steps end the search, along what equalities leave free
polish <- function(fit, h = 1e-5) {
  K <- if (fit@Model@eq.constraints) fit@Model@eq.constraints.K else diag(fit@Model@nx.free)
  gradient <- function(x) as.numeric(lavaan:::lav_model_gradient(lavaan:::lav_model_set_parameters(fit@Model, x),
    lavsamplestats = fit@SampleStats, lavdata = fit@Data, lavcache = fit@Cache, type = "free",
    group.weight = !fit@SampleStats@missing.flag) %*% K)
  x <- as.numeric(coef(fit))
  hessian <- sapply(seq_len(ncol(K)), function(j) (gradient(x + h * K[, j]) - gradient(x - h * K[, j])) / (2 * h))
  for (step in 1:4) x <- x - as.numeric(K %*% solve(hessian, gradient(x)))
  stopifnot(max(abs(gradient(x))) < 1e-9)
  x
}
fit_sem <- function(model, name, ..., group = NULL, rows = NULL) {
  d <- data[[name]]
  if (!is.null(rows)) d <- d[rows, ]
  arguments <- list(model = model, data = d, fixed.x = TRUE, em.h1.iter.max = 5000, em.h1.tol = 1e-12, ...)
  if (!is.null(group)) {
    arguments$group <- group
    arguments$group.label <- sort(unique(na.omit(as.character(d[[group]]))))
  }
  first <- suppressWarnings(do.call("sem", c(arguments, se = "none", test = "none")))
  start <- parTable(first)
  start$est[start$free > 0] <- polish(first)[start$free[start$free > 0]]
  given <- list(start = start, optim.method = "none", optim.force.converged = TRUE)
  suppressWarnings(do.call("sem", c(arguments, given)))
}
MEASURES <- c("npar", "df", "chisq", "pvalue", "chisq.scaled", "pvalue.scaled", "cfi", "rmsea", "srmr", "cfi.scaled",
  "rmsea.scaled", "cfi.robust", "rmsea.robust")
measures <- function(fit) {
  all <- suppressWarnings(fitMeasures(fit))
  as.list(unclass(all)[intersect(MEASURES, names(all))])
}
lrt <- function(large, small, ...) {
  table <- suppressWarnings(as.data.frame(lavTestLRT(large, small, ...)))
  list(chisq = table[["Chisq diff"]][2], df = table[["Df diff"]][2], p = table[["Pr(>Chisq)"]][2])
}
score <- function(fit) {
  table <- parTable(fit)
  uni <- as.data.frame(suppressWarnings(lavTestScore(fit))$uni)
  at <- match(uni$rhs, table$plabel)
  data.frame(lhs = table$lhs[at], op = table$op[at], rhs = table$rhs[at], chisq = uni$X2, p = uni$p.value)
}
HS <- "visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed =~ x7 + x8 + x9"
model_file <- function(name) readLines(file.path("semfit/tests/reference/models", paste0(name, ".lav")))
without_comments <- function(name) grep("^#", model_file(name), value = TRUE, invert = TRUE)
GEBRUIKSMODEL <- without_comments("gebruiksmodel")
WAVE <- paste(grep("=~|~~", GEBRUIKSMODEL, value = TRUE), collapse = "\n")

# ---- invariance -----------------------------------------------------------------------------------------------------
STEPS <- list(configural = character(), metric = "loadings", scalar = c("loadings", "intercepts"),
  strict = c("loadings", "intercepts", "residuals"))
ORDERED <- list(configural = character(), scalar = c("loadings", "thresholds"))
CASES <- list(
  hs_ml = list(model = HS, data = "hs", group = "school", estimator = "ML", missing = "listwise", free = character(),
    steps = STEPS),
  hs_mlr_partial = list(model = HS, data = "hs", group = "school", estimator = "MLR", missing = "listwise",
    free = c("x3 ~ 1", "x7 ~ 1"), steps = STEPS),
  wave2012 = list(model = WAVE, data = "wave2012", group = "solo", estimator = "MLR", missing = "fiml",
    free = character(), steps = STEPS),
  hscat = list(model = HS, data = "hscat", group = "school", estimator = "WLSMV", missing = "listwise",
    free = character(), steps = ORDERED, ordered = paste0("x", 1:9)))
fit_step <- function(case, equal, model = case$model) {
  arguments <- list(model, case$data, estimator = case$estimator, missing = case$missing, group = case$group,
    meanstructure = TRUE)
  if (length(equal)) arguments <- c(arguments, list(group.equal = equal, group.partial = case$free))
  if (length(case$ordered)) arguments$ordered <- case$ordered
  do.call(fit_sem, arguments)
}
invariance <- function(case) {
  fits <- lapply(case$steps, function(equal) fit_step(case, equal))
  steps <- lapply(seq_along(fits), function(i) list(measures = measures(fits[[i]]),
    difference = if (i > 1) lrt(fits[[i - 1]], fits[[i]]), score = if (i > 1) score(fits[[i]])))
  names(steps) <- names(fits)
  case$steps <- NULL
  c(lapply(case, function(x) if (length(x) == 1 && is.character(x)) x else I(x)), list(steps = steps))
}

# ---- latent means ---------------------------------------------------------------------------------------------------
# differences from the first group in the scalar model, d over sqrt(sum n_g variance_g / N), and all means equal
latent_means <- function(case) {
  scalar <- fit_step(case, case$steps$scalar)
  latents <- lavNames(scalar, "lv")
  n <- lavInspect(scalar, "nobs")
  labels <- sprintf("%1$s ~~ c(v1_%1$s, v2_%1$s)*%1$s\n%1$s ~ c(0, NA)*1 + c(m1_%1$s, m2_%1$s)*1", latents)
  d <- sprintf("d_%1$s := m2_%1$s / sqrt((%2$d*v1_%1$s + %3$d*v2_%1$s) / %4$d)", latents, n[1], n[2], sum(n))
  labelled <- paste(c(case$model, labels, d), collapse = "\n")
  fit <- fit_step(case, case$steps$scalar, labelled)
  stopifnot(abs(fitMeasures(fit, "chisq") - fitMeasures(scalar, "chisq")) < 1e-6)
  table <- parameterEstimates(fit)
  columns <- c("est", "se", "z", "pvalue", "ci.lower", "ci.upper")
  rows <- function(names, column) table[match(names, table[[column]]), columns]
  means <- fit_step(case, c(case$steps$scalar, "means"))
  list(latents = latents, difference = rows(paste0("m2_", latents), "label"), d = rows(paste0("d_", latents), "lhs"),
    all_equal = lrt(scalar, means))
}

# ---- paths ----------------------------------------------------------------------------------------------------------
PATHS <- list(
  hs_ml = list(data = "hs", group = "school", estimator = "ML", missing = "listwise", equal = character(),
    text = paste(HS, "textual ~ %s*visual\nspeed ~ %s*textual + %s*visual", sep = "\n"),
    paths = c("textual ~ visual", "speed ~ textual", "speed ~ visual")),
  hs_mlr = list(data = "hs", group = "school", estimator = "MLR", missing = "listwise", equal = "loadings",
    text = paste(HS, "textual ~ %s*visual\nspeed ~ %s*textual + %s*visual", sep = "\n"),
    paths = c("textual ~ visual", "speed ~ textual", "speed ~ visual")),
  wave2012 = list(data = "wave2012", group = "solo", estimator = "MLR", missing = "fiml", equal = "loadings",
    text = paste(WAVE, "motivation ~ %s*culture + %s*environment + %s*b2c + %s*east",
      "use ~ %s*motivation + %s*culture + %s*b2c + %s*east", "perception ~ %s*use",
      "reputation ~ %s*perception + %s*use", sep = "\n"),
    paths = c("motivation ~ culture", "motivation ~ environment", "motivation ~ b2c", "motivation ~ east",
      "use ~ motivation", "use ~ culture", "use ~ b2c", "use ~ east", "perception ~ use", "reputation ~ perception",
      "reputation ~ use")))
path_tests <- function(case) {
  k <- length(case$paths)
  free <- sprintf("c(a%d, b%d)", seq_len(k), seq_len(k))
  model_with <- function(labels) do.call(sprintf, c(list(case$text), as.list(labels)))
  fit_with <- function(labels) do.call(fit_sem, c(list(model_with(labels), case$data, estimator = case$estimator,
    missing = case$missing, group = case$group, meanstructure = TRUE),
    if (length(case$equal)) list(group.equal = case$equal)))
  same <- sprintf("c(a%d, a%d)", seq_len(k), seq_len(k))
  fit <- fit_with(free)
  wald <- function(at) {
    equations <- paste(sprintf("a%d == b%d", at, at), collapse = "\n")
    suppressWarnings(lavTestWald(fit, equations))[c("stat", "df", "p.value")]
  }
  rows <- lapply(seq_len(k), function(i) list(path = case$paths[i], wald = wald(i),
    lrt = lrt(fit, fit_with(replace(free, i, same[i])))))
  table <- parameterEstimates(fit, standardized = TRUE)
  estimates <- lapply(c("a", "b"), function(g)
    table[match(paste0(g, seq_len(k)), table$label), c("est", "se", "std.all")])
  list(data = case$data, group = case$group, estimator = case$estimator, missing = case$missing, equal = I(case$equal),
    model = gsub("%s\\*", "", case$text), rows = rows, estimates = estimates,
    all = list(wald = wald(seq_len(k)), lrt = lrt(fit, fit_with(same))))
}

# ---- differences by Satorra & Bentler (2010) ------------------------------------------------------------------------
TWO <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6"
both <- function(large, small)
  list(sb2001 = lrt(large, small), sb2010 = lrt(large, small, method = "satorra.bentler.2010"))
scaled_2010 <- function() {
  hs <- lapply(STEPS, function(equal) do.call(fit_sem, c(list(HS, "hs", estimator = "MLR", group = "school"),
    if (length(equal)) list(group.equal = equal))))
  negative <- lapply(c(paste(TWO, "textual =~ x1", sep = "\n"), TWO), fit_sem, name = "hs", estimator = "MLR",
    rows = 61:120)
  wave <- lapply(c("gebruiksmodel_direct", "gebruiksmodel"), function(name)
    fit_sem(paste(without_comments(name), collapse = "\n"), "wave2012", estimator = "MLR", missing = "fiml"))
  list(hs_metric = both(hs$configural, hs$metric), hs_scalar = both(hs$metric, hs$scalar),
    hs_strict = both(hs$scalar, hs$strict), negative = both(negative[[1]], negative[[2]]),
    wave2012 = both(wave[[1]], wave[[2]]))
}

# ---- nestedness -----------------------------------------------------------------------------------------------------
MODELS <- list(three = HS, two = "visual =~ x1 + x2 + x3 + x4 + x5 + x6\nspeed =~ x7 + x8 + x9",
  one = paste("g =~", paste0("x", 1:9, collapse = " + ")),
  second = paste(HS, "g =~ visual + textual + speed", sep = "\n"),
  chain = paste(HS, "textual ~ visual\nspeed ~ textual", sep = "\n"),
  reversed = paste(HS, "textual ~ speed\nvisual ~ textual", sep = "\n"), residual = paste(HS, "x1 ~~ x2", sep = "\n"),
  cross = paste(HS, "visual =~ x9", sep = "\n"),
  equal = "visual =~ x1 + a*x2 + a*x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9")
nested <- function() {
  # not fit_sem: net() fits again, with the same call
  fits <- lapply(MODELS, function(model) eval(substitute(sem(text, data = data$hs), list(text = model))))
  pairs <- t(combn(names(MODELS), 2))
  rows <- lapply(seq_len(nrow(pairs)), function(i) {
    df <- sort(sapply(fits[pairs[i, ]], fitMeasures, "df"))
    names <- sub(".df", "", names(df), fixed = TRUE)
    list(large = names[1], small = names[2], df_large = df[[1]], df_small = df[[2]],
      same_moments = net(fits[[names[1]]], fits[[names[2]]])@test[2, 1])
  })
  list(models = MODELS, pairs = rows)
}

# ---- the model files ------------------------------------------------------------------------------------------------
FILES <- paste0("gebruiksmodel", c("", "_direct", "_full_mediation", "_items", "_expected"))
models <- function() {
  fits <- sapply(FILES, function(name) fit_sem(paste(model_file(name), collapse = "\n"), "wave2012", estimator = "MLR",
    missing = "fiml"), simplify = FALSE)
  list(measures = lapply(fits, function(fit) c(measures(fit), as.list(unclass(fitMeasures(fit, c("aic", "bic")))))),
    effects = lapply(fits, function(fit) subset(parameterEstimates(fit), op == ":=")[c("lhs", "est", "se", "pvalue")]),
    differences = list(direct = lrt(fits[[2]], fits[[1]]), full_mediation = lrt(fits[[1]], fits[[3]])))
}

result <- list(invariance = lapply(CASES, invariance), means = lapply(CASES[names(CASES) != "hscat"], latent_means),
  paths = lapply(PATHS, path_tests), scaled_2010 = scaled_2010(), nested = nested(), models = models())
write(toJSON(result, digits = I(12), na = "null", null = "null", auto_unbox = TRUE), file.path(OUT, "groups.json"))
writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), file.path(OUT, "groups_sessionInfo.txt"))
