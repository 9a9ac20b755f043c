# Invariance of ordered items step by step, as semTools writes the models (Wu & Estabrook 2016) and lavaan fits them.
# Run from the root of the repository, after ordinal_indices.R: Rscript semfit/tests/reference/ordinal_invariance.R
# It makes ordinal_invariance.json and ordinal_invariance_sessionInfo.txt. A case: data, model, group, parameterization,
# free (partial invariance); for each step the measures, the test of the difference from the step before it (lavTestLRT,
# Satorra 2000), and latent means with standard errors. Also theta: fits in both parameterizations, with their estimates.
suppressMessages({library(lavaan); library(semTools); library(jsonlite)})
OUT <- "semfit/tests/reference"
file_of <- function(name) if (name %in% c("hscat", "wave2012")) file.path(OUT, "estimators", paste0("data_", name, ".csv")) else
  file.path(OUT, paste0("ordinal_indices_", name, ".csv"))
read_data <- function(name) {
  if (name == "mixed") { # two binary items, one of three categories, the others of five
    d <- read.csv(file_of("five"))
    d[c("u2", "u6")] <- lapply(d[c("u2", "u6")], function(x) as.integer(x > 3))
    d$u3 <- findInterval(d$u3, c(3, 4))
    return(d)
  }
  if (name == "binary") { # items of different difficulty: else a binary scalar model is not identified
    d <- read.csv(file_of("five"))
    d[1:8] <- Map(function(x, at) as.integer(x > at), d[1:8], c(2, 3, 4, 1, 2, 3, 4, 1))
    return(d)
  }
  if (name == "thirds") { # three groups
    d <- read.csv(file_of("five"))
    d$g <- rep(c("a", "b", "c"), length.out = nrow(d))
    return(d)
  }
  read.csv(file_of(name))
}
# nlminb stops at a gradient of about 1e-6: four Newton steps end the search, along what equalities leave free
polish <- function(fit, h = 1e-5) {
  K <- if (fit@Model@eq.constraints) fit@Model@eq.constraints.K else diag(fit@Model@nx.free)
  gradient <- function(x) as.numeric(lavaan:::lav_model_gradient(lavaan:::lav_model_set_parameters(fit@Model, x),
    lavsamplestats = fit@SampleStats, lavdata = fit@Data, lavcache = fit@Cache, type = "free", group.weight = TRUE) %*% K)
  x <- as.numeric(coef(fit))
  hessian <- sapply(seq_len(ncol(K)), function(j) (gradient(x + h * K[, j]) - gradient(x - h * K[, j])) / (2 * h))
  for (step in 1:4) x <- x - as.numeric(K %*% solve(hessian, gradient(x)))
  stopifnot(max(abs(gradient(x))) < 1e-9)
  x
}
fit_exactly <- function(fitting, model, ...) {
  arguments <- list(model = model, ..., estimator = "WLSMV")
  first <- suppressWarnings(do.call(fitting, c(arguments, se = "none", test = "none")))
  start <- parTable(first)
  start$est[start$free > 0] <- polish(first)[start$free[start$free > 0]]
  suppressWarnings(do.call(fitting, c(arguments, list(start = start, optim.method = "none", optim.force.converged = TRUE))))
}

# ---- invariance -----------------------------------------------------------------------------------------------------
HS <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
TWO <- "f =~ u1 + u2 + u3 + u4\nh =~ u5 + u6 + u7 + u8"
STEPS <- list(configural = "", thresholds = "thresholds", metric = c("thresholds", "loadings"),
  scalar = c("thresholds", "loadings", "intercepts"), strict = c("thresholds", "loadings", "intercepts", "residuals"))
case <- function(data, model, group, parameterization, steps = names(STEPS), free = character(), binary = character())
  list(data = data, model = model, group = group, parameterization = parameterization, steps = steps, free = free,
    binary = binary)
DELTA <- names(STEPS)[1:4]
CASES <- list(
  hscat_theta = case("hscat", HS, "school", "theta"), hscat_delta = case("hscat", HS, "school", "delta", DELTA),
  hscat_partial = case("hscat", HS, "school", "theta", free = c("x3 ~ 1", "x5 | t2", "textual =~ x6", "x9 ~~ x9")),
  five_theta = case("five", TWO, "g", "theta"), thirds_theta = case("thirds", TWO, "g", "theta"),
  three_theta = case("three", TWO, "g", "theta", names(STEPS)[-2]),
  three_delta = case("three", TWO, "g", "delta", DELTA[-2]),
  binary_theta = case("binary", TWO, "g", "theta", c("configural", "scalar", "strict")),
  binary_delta = case("binary", TWO, "g", "delta", c("configural", "scalar")),
  # semTools keeps the unit of a binary item fixed in the metric step, which restricts its loading by an arbitrary unit: here
  # that loading is left free there
  mixed_theta = case("mixed", TWO, "g", "theta", binary = c("f =~ u2", "h =~ u6")))
MEASURES <- c("npar", "df", "chisq", "pvalue", "chisq.scaled", "pvalue.scaled", "cfi.scaled", "rmsea.scaled", "tli.scaled",
  "srmr")
measures_of <- function(fit) { # robust measures of these models stop lavaan 0.6-14, and the others with them
  test <- lavInspect(fit, "test")[["scaled.shifted"]]
  base <- fit@baseline$test[["scaled.shifted"]]
  excess <- max(test$stat - test$df, 0)
  list(npar = fit@optim$npar - if (fit@Model@eq.constraints) nrow(fit@Model@ceq.JAC) else 0, df = test$df,
    chisq = lavInspect(fit, "test")[["standard"]]$stat, chisq.scaled = test$stat, pvalue.scaled = test$pvalue,
    cfi.scaled = 1 - excess / max(excess, base$stat - base$df, 1e-12),
    rmsea.scaled = sqrt(lavInspect(fit, "ngroups") * excess / (test$df * (lavInspect(fit, "ntotal") - lavInspect(fit, "ngroups")))))
}
lrt <- function(large, small) {
  table <- suppressWarnings(as.data.frame(lavTestLRT(large, small)))
  list(chisq = table[["Chisq diff"]][2], df = table[["Df diff"]][2], p = table[["Pr(>Chisq)"]][2])
}
fit_step <- function(case, step, data) {
  free <- c(case$free, if (step == "metric") case$binary)
  arguments <- list(case$model, data = data, ordered = lavNames(case$model, "ov"), ID.fac = "std.lv",
    parameterization = case$parameterization, ID.cat = "Wu.Estabrook.2016", group = case$group, group.equal = STEPS[[step]])
  if (length(free)) arguments$group.partial <- free
  text <- as.character(suppressWarnings(do.call("measEq.syntax", arguments)))
  fit_exactly("lavaan", text, data = data, group = case$group, ordered = lavNames(case$model, "ov"),
    parameterization = case$parameterization, group.label = sort(unique(as.character(data[[case$group]]))))
}
invariance <- function(case) {
  data <- read_data(case$data)
  fits <- lapply(setNames(case$steps, case$steps), function(step) fit_step(case, step, data))
  steps <- lapply(seq_along(fits), function(i) list(measures = measures_of(fits[[i]]),
    difference = if (i > 1) lrt(fits[[i - 1]], fits[[i]])))
  names(steps) <- names(fits)
  case$steps <- case$binary <- NULL
  case$free <- I(case$free)
  c(case, list(steps = steps))
}

# ---- theta ----------------------------------------------------------------------------------------------------------
ITEMS <- paste0("x", 1:9)
COVARIATES <- paste0(HS, "\nvisual + textual + speed ~ ageyr + female")
ONE <- "f =~ x1 + x2 + x3 + x4"
fit_case <- function(model, ordered, group = NULL, equal = character(), parameterization = "theta")
  list(model = model, ordered = ordered, group = group, equal = I(equal), parameterization = parameterization)
FITS <- list(
  theta = fit_case(HS, ITEMS), theta_covariates = fit_case(COVARIATES, ITEMS),
  theta_mixed = fit_case(HS, ITEMS[4:9]), theta_residual = fit_case(paste0(HS, "\nx1 ~~ x4"), ITEMS),
  theta_fixed = fit_case(paste0(HS, "\nx1 ~~ 0.5*x1"), ITEMS), theta_scale = fit_case(paste0(HS, "\nx1 ~*~ 2*x1"), ITEMS),
  delta_fixed = fit_case(paste0(ONE, "\nx1 ~~ 1*x1"), ITEMS[1:4], parameterization = "delta"),
  delta_scale = fit_case(paste0(ONE, "\nx1 ~*~ 2*x1"), ITEMS[1:4], parameterization = "delta"),
  theta_group = fit_case(HS, ITEMS, "school"), theta_group_loadings = fit_case(HS, ITEMS, "school", "loadings"),
  theta_group_thresholds = fit_case(HS, ITEMS, "school", c("loadings", "thresholds")),
  theta_group_covariates = fit_case(COVARIATES, ITEMS, "school", "loadings"))
theta <- function(case) {
  data <- read_data("hscat")
  arguments <- list("sem", case$model, data = data, ordered = case$ordered, parameterization = case$parameterization)
  if (!is.null(case$group)) arguments <- c(arguments, list(group = case$group,
    group.label = sort(unique(as.character(data[[case$group]])))))
  if (length(case$equal)) arguments$group.equal <- as.character(case$equal)
  fit <- do.call(fit_exactly, arguments)
  table <- parameterEstimates(fit, standardized = TRUE)
  if (is.null(table$group)) table$group <- 1
  table <- table[table$op != ":=", c("lhs", "op", "rhs", "group", "est", "se", "std.all")]
  c(case, list(measures = measures_of(fit), estimates = as.data.frame(unclass(table))))
}

result <- list(invariance = lapply(CASES, invariance), fits = lapply(FITS, theta))
write(toJSON(result, digits = I(12), na = "null", null = "null", auto_unbox = TRUE), file.path(OUT, "ordinal_invariance.json"))
writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), file.path(OUT, "ordinal_invariance_sessionInfo.txt"))
